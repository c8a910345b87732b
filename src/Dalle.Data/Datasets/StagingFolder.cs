using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>A folder built beside its final place and renamed into it when it is complete.</summary>
internal sealed class StagingFolder : IDisposable
{
    private readonly string _target;
    private readonly FileStream _lock;
    private bool _published;

    private StagingFolder(string target, FileStream @lock) => (_target, _lock) = (target, @lock);

    public string Path => _target + ".importing";

    /// <exception cref="SourceException">The target is taken, or another import is writing it.</exception>
    public static StagingFolder Open(string target, bool replace)
    {
        if (File.Exists(target) || (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()))
        {
            // Only a dataset is ever replaced, never a folder of something else.
            if (!replace || !File.Exists(System.IO.Path.Combine(target, DatasetManifest.FileName)))
            {
                throw new SourceException($"'{target}' already exists and is not empty. Choose another folder, {(replace ? "or remove this one (it is not a dataset, so nothing replaces it)" : "remove this one, or replace a dataset with --replace")}.");
            }
        }
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
        FileStream held;
        try
        {
            held = new FileStream(target + ".lock", FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException taken)
        {
            throw new SourceException($"Another import into '{target}' is running: {taken.Message}", taken);
        }
        var staging = new StagingFolder(target, held);
        staging.Clear();
        Directory.CreateDirectory(staging.Path);
        return staging;
    }

    /// <summary>Writes a file and puts it safely on disk.</summary>
    public void Write(string name, byte[] content)
    {
        using var file = new FileStream(System.IO.Path.Combine(Path, name), FileMode.CreateNew);
        file.Write(content);
        file.Flush(flushToDisk: true);
    }

    /// <summary>Puts the folder in its place.</summary>
    public void Publish()
    {
        var old = _target + ".replaced";
        if (Directory.Exists(old))
        {
            Directory.Delete(old, recursive: true);
        }
        if (Directory.Exists(_target))
        {
            Directory.Move(_target, old);
        }
        Directory.Move(Path, _target);
        _published = true;
        if (Directory.Exists(old))
        {
            Directory.Delete(old, recursive: true);
        }
    }

    public void Dispose()
    {
        if (!_published)
        {
            Clear();
        }
        _lock.Dispose();
    }

    private void Clear()
    {
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
