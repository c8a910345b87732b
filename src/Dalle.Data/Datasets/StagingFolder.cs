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

    private string Replaced => _target + ".replaced";

    /// <exception cref="SourceException">The target is taken, or another import is writing it.</exception>
    public static StagingFolder Open(string target, bool replace)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
        var staging = new StagingFolder(target, Lock(target));
        try
        {
            staging.UndoBrokenReplacement();
            RequireFree(target, replace);
            staging.Clear();
            Directory.CreateDirectory(staging.Path);
            return staging;
        }
        catch
        {
            staging._lock.Dispose();
            throw;
        }
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
        if (Directory.Exists(_target))
        {
            Directory.Move(_target, Replaced);
        }
        Directory.Move(Path, _target);
        _published = true;
        if (Directory.Exists(Replaced))
        {
            Delete(Replaced);
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
            Delete(Path);
        }
    }

    /// <summary>Deletes a folder that an import made; one that holds anything else is somebody's own and stays.</summary>
    private static void Delete(string folder)
    {
        RequireNothingForeign(folder);
        Directory.Delete(folder, recursive: true);
    }

    private static void RequireNothingForeign(string folder)
    {
        if (Directory.EnumerateFileSystemEntries(folder).FirstOrDefault(entry => !IsOfADataset(entry)) is { } foreign)
        {
            throw new SourceException($"'{folder}' would be deleted by the import, but holds '{System.IO.Path.GetFileName(foreign)}', which no import writes. Move that file, or choose another folder.");
        }
    }

    private static bool IsOfADataset(string path) => System.IO.Path.GetFileName(path) is var name && File.Exists(path)
        && (name == DatasetManifest.FileName || ((name.StartsWith(ShardDataset.TrainingName, StringComparison.Ordinal) || name.StartsWith(ShardDataset.HeldOutName, StringComparison.Ordinal))
            && System.IO.Path.GetExtension(name) is ".tar" or ".index"));

    private static FileStream Lock(string target)
    {
        try
        {
            return new FileStream(target + ".lock", FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException taken)
        {
            throw new SourceException($"Another import into '{target}' is running: {taken.Message}", taken);
        }
    }

    private static void RequireFree(string target, bool replace)
    {
        if (!File.Exists(target) && (!Directory.Exists(target) || !Directory.EnumerateFileSystemEntries(target).Any()))
        {
            return;
        }
        if (!replace || !File.Exists(System.IO.Path.Combine(target, DatasetManifest.FileName)))
        {
            throw new SourceException($"'{target}' already exists and is not empty. Choose another folder, "
                + (replace ? "or remove this one (it is not a dataset, so nothing replaces it)." : "remove this one, or replace a dataset with --replace."));
        }
        RequireNothingForeign(target);
    }

    /// <summary>A process that ended between the two moves of <see cref="Publish"/> left the old dataset under another name; one that ended after them left it to delete.</summary>
    private void UndoBrokenReplacement()
    {
        if (Directory.Exists(Replaced) && Directory.Exists(_target))
        {
            Delete(Replaced);
        }
        else if (File.Exists(System.IO.Path.Combine(Replaced, DatasetManifest.FileName)))
        {
            Directory.Move(Replaced, _target);
        }
    }
}
