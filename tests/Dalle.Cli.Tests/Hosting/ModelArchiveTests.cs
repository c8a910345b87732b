using System.Security.Cryptography;
using Dalle.Cli.Hosting;
using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Tests.Shared;

namespace Dalle.Cli.Tests.Hosting;

public sealed class ModelArchiveTests : IDisposable
{
    private readonly TemporaryFolder _artifacts = new();
    private readonly TemporaryFolder _outside = new();
    private readonly ModelManifest _model;

    public ModelArchiveTests()
    {
        Directory.CreateDirectory(_artifacts.File("models/demo"));
        File.WriteAllText(_artifacts.File("models/demo/prior.safetensors"), "weights");
        File.WriteAllText(_artifacts.File("models/demo/model.json"), "card");
        _model = new ModelManifest
        {
            Name = "demo", Preset = "tiny", Path = "models/demo", Published = DateTimeOffset.UnixEpoch, ImageSize = 32, GridSize = 8, Parameters = 7, JobId = "job",
            Metrics = new Dictionary<string, double> { ["psnr"] = 26.4 },
            Files = new Dictionary<string, string>
            {
                ["prior.safetensors"] = Convert.ToHexStringLower(SHA256.HashData("weights"u8)),
                ["model.json"] = Convert.ToHexStringLower(SHA256.HashData("card"u8)),
            },
        };
    }

    [Fact]
    public async Task ExportThenImport_GivesTheSameModelUnderAnotherName()
    {
        await Export();
        var imported = await Import("copy");

        Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(_artifacts.FullName, imported.Path, "prior.safetensors"), TestContext.Current.CancellationToken));
        Assert.Equal("copy", imported.Name);
        Assert.Null(imported.JobId);
        Assert.Equal(26.4, imported.Metrics["psnr"]);
        Assert.Equal((32, 8, 7L, "tiny"), (imported.ImageSize, imported.GridSize, imported.Parameters, imported.Preset));
        Assert.NotEqual(_model.Path, imported.Path);
    }

    [Fact]
    public async Task Import_OfAChangedFile_IsRefused()
    {
        await Export();
        await File.WriteAllTextAsync(_outside.File("demo/prior.safetensors"), "weightz", TestContext.Current.CancellationToken);

        var refused = await Assert.ThrowsAsync<CommandException>(() => Import(name: null));
        Assert.Contains("does not have the content that the manifest names", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_OfAManifestThatPointsOutside_IsRefused()
    {
        await Export();
        await Falsify("prior.safetensors", "../../secret");

        var refused = await Assert.ThrowsAsync<CommandException>(() => Import(name: null));
        Assert.Contains("'../../secret', which is not a plain file name", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_UnderANameThatPointsOutside_IsRefusedBeforeAnythingIsCopied()
    {
        await Export();
        await Falsify("\"demo\"", "\"../../elsewhere\"");

        var refused = await Assert.ThrowsAsync<InvalidRequestException>(() => Import(name: null));
        Assert.Contains("'../../elsewhere' cannot be used as a model's name", refused.Message, StringComparison.Ordinal);
        Assert.Equal([_artifacts.File("models")], Directory.GetFileSystemEntries(_artifacts.FullName));
        Assert.Equal([_artifacts.File("models/demo")], Directory.GetFileSystemEntries(_artifacts.File("models")));
    }

    [Fact]
    public async Task Export_IntoAFolderWithFiles_IsRefused()
    {
        await Export();
        await Assert.ThrowsAsync<CommandException>(Export);
    }

    [Fact]
    public void Delete_OfAPathOutsideTheStore_TouchesNothing()
    {
        File.WriteAllText(_outside.File("kept"), "");
        ModelArchive.Delete(_model with { Path = Path.GetRelativePath(_artifacts.FullName, _outside.FullName) }, _artifacts.FullName);
        Assert.True(File.Exists(_outside.File("kept")));
    }

    public void Dispose()
    {
        _artifacts.Dispose();
        _outside.Dispose();
    }

    private Task Export() =>
        ModelArchive.Export(_model, _artifacts.File("models/demo"), _outside.File("demo"), TestContext.Current.CancellationToken);

    private async Task Falsify(string word, string other)
    {
        var manifest = _outside.File("demo/manifest.json");
        var text = await File.ReadAllTextAsync(manifest, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(manifest, text.Replace(word, other, StringComparison.Ordinal), TestContext.Current.CancellationToken);
    }

    private Task<ModelManifest> Import(string? name) =>
        ModelArchive.Import(_outside.File("demo"), name, _artifacts.FullName, DateTimeOffset.UnixEpoch, TestContext.Current.CancellationToken);
}
