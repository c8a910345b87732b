using Dalle.Data.Scenes;

namespace Dalle.Data.Sources;

/// <summary>Finds the source that a word or path on the command line means.</summary>
public static class SampleSources
{
    /// <summary>What <see cref="Open"/> understands, one line each.</summary>
    public static IReadOnlyList<string> Understood { get; } =
    [
        "emoji              Google's emoji artwork, fetched with npm",
        "scenes             built-in drawn scenes",
        "FOLDER             pictures with captions in .txt files of the same name; or WebDataset shards (*.tar)",
        "FILE.tar, 'X*.tar' WebDataset shards (also .tar.gz)",
        "FILE.json          MS-COCO captions",
        "FILE.csv, .tsv     a table with a path and a caption column",
        "FILE.parquet       the same as Parquet",
    ];

    /// <summary>Opens a source by its name or by what the path is.</summary>
    /// <exception cref="SourceException">Nothing of that name, or not a kind of source.</exception>
    public static ISampleSource Open(string source, SampleSourceOptions? options = null)
    {
        options ??= new SampleSourceOptions();
        return source switch
        {
            "emoji" => new EmojiSource(options),
            "scenes" => new DatasetSource(new SceneDataset(), "scenes", options.Licence ?? "Made by this program; no rights reserved."),
            _ when Path.GetFileName(source).Contains('*', StringComparison.Ordinal) => new TarSource(Shards(Path.GetDirectoryName(source), Path.GetFileName(source)), options),
            _ when Directory.Exists(source) => OpenFolder(source, options),
            _ when File.Exists(source) => OpenFile(source, options),
            _ => throw NotUnderstood($"There is no file or folder '{source}'."),
        };
    }

    private static ISampleSource OpenFolder(string folder, SampleSourceOptions options) =>
        Directory.EnumerateFiles(folder, "*.tar").Any() ? new TarSource(Shards(folder, "*.tar"), options) : new FolderSource(folder, options);

    private static ISampleSource OpenFile(string file, SampleSourceOptions options) => file.ToLowerInvariant() switch
    {
        var name when name.EndsWith(".tar", StringComparison.Ordinal) || name.EndsWith(".tar.gz", StringComparison.Ordinal) || name.EndsWith(".tgz", StringComparison.Ordinal)
            => new TarSource([file], options),
        var name when name.EndsWith(".json", StringComparison.Ordinal) => new CocoSource(file, options),
        var name when name.EndsWith(".csv", StringComparison.Ordinal) || name.EndsWith(".tsv", StringComparison.Ordinal) => new CsvSource(file, options),
        var name when name.EndsWith(".parquet", StringComparison.Ordinal) => new ParquetSource(file, options),
        _ => throw NotUnderstood($"'{file}' is not a kind of file that holds samples."),
    };

    private static string[] Shards(string? folder, string pattern)
    {
        folder = string.IsNullOrEmpty(folder) ? "." : folder;
        var shards = Directory.Exists(folder) ? Directory.GetFiles(folder, pattern) : [];
        Array.Sort(shards, StringComparer.Ordinal);
        return shards.Length > 0 ? shards : throw NotUnderstood($"No file matches '{Path.Combine(folder, pattern)}'.");
    }

    private static SourceException NotUnderstood(string fault) => new($"{fault} A source is one of:{string.Concat(Understood.Select(line => $"\n  {line}"))}");
}
