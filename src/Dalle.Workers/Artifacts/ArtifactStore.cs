using Dalle.Model.Safetensors;

namespace Dalle.Workers.Artifacts;

/// <summary>Where checkpoints, token caches and published models lie: a folder, shared between silos. A file in it is whole and durable or not there.</summary>
/// <param name="root">The folder; created when first written to.</param>
/// <remarks>Thread-safe as far as callers write different keys.</remarks>
public sealed class ArtifactStore(string root)
{
    /// <summary>The folder, as a full path.</summary>
    public string Root { get; } = Path.GetFullPath(root);

    /// <summary>Where an artifact lies on this machine.</summary>
    /// <exception cref="Contracts.InvalidRequestException">The key is not allowed; see <see cref="ArtifactKey"/>.</exception>
    public string PathOf(string key) => Path.Combine(Root, ArtifactKey.Check(key).Replace('/', Path.DirectorySeparatorChar));

    /// <summary>Whether there is such a file.</summary>
    public bool Exists(string key) => File.Exists(PathOf(key));

    /// <summary>Writes a file under a temporary name, forces it to the disk and gives it its name. An old one is replaced in one step.</summary>
    public void Write(string key, Action<Stream> write) => DurableFile.Write(PathOf(key), write);

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public FileStream Open(string key) => new(PathOf(key), FileMode.Open, FileAccess.Read, FileShare.Read);

    /// <summary>Keys of the folders directly in a folder, in order of their names; none if the folder is not there.</summary>
    public IReadOnlyList<string> ListFolders(string key)
    {
        var folder = new DirectoryInfo(PathOf(key));
        return folder.Exists
            ? [.. folder.EnumerateDirectories().Select(d => d.Name).Where(ArtifactKey.IsPart).Order(StringComparer.Ordinal).Select(name => $"{key}/{name}")]
            : [];
    }

    /// <summary>Keys of the whole files directly in a folder, in order of their names; none if the folder is not there.</summary>
    public IReadOnlyList<string> ListFiles(string key)
    {
        var folder = new DirectoryInfo(PathOf(key));
        return folder.Exists
            ? [.. folder.EnumerateFiles().Select(f => f.Name).Where(IsWhole).Order(StringComparer.Ordinal).Select(name => $"{key}/{name}")]
            : [];
    }

    /// <summary>Deletes a folder and all in it; nothing if it is not there.</summary>
    public void DeleteFolder(string key)
    {
        var path = PathOf(key);
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    private static bool IsWhole(string name) => ArtifactKey.IsPart(name) && !name.EndsWith(DurableFile.PartialSuffix, StringComparison.Ordinal);
}
