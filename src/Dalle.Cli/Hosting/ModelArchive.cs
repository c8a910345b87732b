using System.Security.Cryptography;
using System.Text.Json;
using Dalle.Contracts;
using Dalle.Contracts.Models;

namespace Dalle.Cli.Hosting;

/// <summary>A model outside any silo: its files and <c>manifest.json</c>, which names each file's SHA-256.</summary>
internal static class ModelArchive
{
    public const string ManifestFile = "manifest.json";

    /// <summary>Copies the files named by the manifest, checked on the way, and writes the manifest last.</summary>
    public static async Task Export(ModelManifest model, string source, string target, CancellationToken cancellationToken)
    {
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
        {
            throw new CommandException($"'{target}' is not empty; name a new folder.");
        }

        await CopyChecked(model, source, target, cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(target, ManifestFile), Terminal.ToJson(model), cancellationToken);
    }

    /// <summary>Copies an exported model into the artifact store and returns its manifest, to be published.</summary>
    /// <param name="source">The exported folder.</param>
    /// <param name="name">Another name for it; null to keep its own.</param>
    /// <param name="artifacts">Root of the artifact store.</param>
    /// <param name="now">When it is published.</param>
    /// <param name="cancellationToken">Ends the copy.</param>
    public static async Task<ModelManifest> Import(string source, string? name, string artifacts, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var manifest = Path.Combine(source, ManifestFile);
        if (!File.Exists(manifest))
        {
            throw new CommandException($"'{source}' has no {ManifestFile}; expected a folder written by 'dalle models export'.");
        }

        var exported = Read(await File.ReadAllTextAsync(manifest, cancellationToken), manifest);
        var published = Names.Check(name ?? exported.Name, "a model's name");

        // A folder of its own: importing over a published name leaves the old files to whoever still reads them.
        var path = $"models/{published}-{now.UtcDateTime:yyyyMMddHHmmss}";
        await CopyChecked(exported, source, Path.Combine(artifacts, path), cancellationToken);
        return exported with { Name = published, Path = path, Published = now, JobId = null };
    }

    /// <summary>Deletes a model's folder in the artifact store.</summary>
    public static void Delete(ModelManifest model, string artifacts)
    {
        var folder = Path.GetFullPath(Path.Combine(artifacts, model.Path));
        if (folder.StartsWith(Path.GetFullPath(artifacts) + Path.DirectorySeparatorChar, StringComparison.Ordinal) && Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static ModelManifest Read(string json, string path)
    {
        try
        {
            return Terminal.FromJson<ModelManifest>(json) ?? throw new CommandException($"'{path}' is empty.");
        }
        catch (JsonException exception)
        {
            throw new CommandException($"'{path}' is not a model manifest: {exception.Message}");
        }
    }

    private static async Task CopyChecked(ModelManifest model, string source, string target, CancellationToken cancellationToken)
    {
        if (model.Files.Count == 0)
        {
            throw new CommandException($"The manifest of model '{model.Name}' names no files.");
        }

        Directory.CreateDirectory(target);
        foreach (var (file, sha256) in model.Files)
        {
            if (Path.GetFileName(file) != file)
            {
                throw new CommandException($"The manifest of model '{model.Name}' names the file '{file}', which is not a plain file name.");
            }

            var copy = Path.Combine(target, file);
            File.Copy(Path.Combine(source, file), copy, overwrite: true);
            await using var content = File.OpenRead(copy);
            if (!Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken)).Equals(sha256, StringComparison.OrdinalIgnoreCase))
            {
                throw new CommandException($"'{Path.Combine(source, file)}' does not have the content that the manifest names; the copy is damaged. Export the model again.");
            }
        }
    }
}
