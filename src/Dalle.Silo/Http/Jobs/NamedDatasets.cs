using Dalle.Contracts;
using Dalle.Data.Datasets;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Storage;

namespace Dalle.Silo.Http.Jobs;

/// <summary>
/// The datasets that a request may name: the built-in ones, and those imported into the data folder's <c>datasets</c>. A request's text becomes part of
/// a path only if it is a plain name.
/// </summary>
internal sealed class NamedDatasets(DataFolder folder)
{
    /// <summary>Name of the folder in the data folder.</summary>
    public const string FolderName = "datasets";

    private readonly string _root = Path.Combine(folder.Path, FolderName);

    /// <summary>A dataset's name as training specs spell it.</summary>
    /// <exception cref="ApiException">There is no dataset of this name.</exception>
    public string Resolve(string name) => name == Dataset.Scenes ? name
        : Names.IsValid(name) && Holds(Path.Combine(_root, name)) ? Path.Combine(_root, name)
        : throw ApiException.Invalid("data", $"one of {string.Join(", ", List())}", $"'{name}'");

    /// <summary>What a spec's dataset is called; other folders of this machine are not told.</summary>
    public static string NameOf(string dataset) => Path.GetFileName(Path.TrimEndingDirectorySeparator(dataset));

    private IEnumerable<string> List() => Directory.Exists(_root)
        ? Directory.EnumerateDirectories(_root).Where(Holds).Select(NameOf).Where(Names.IsValid).Order(StringComparer.Ordinal).Prepend(Dataset.Scenes)
        : [Dataset.Scenes];

    private static bool Holds(string path) => File.Exists(Path.Combine(path, DatasetManifest.FileName));
}
