using System.Text.Json;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Commands;

/// <summary>The commands of the README, one after the other, against a silo of its own.</summary>
public sealed class ModelLifeTests : IDisposable
{
    private const string Prompt = "a large red circle";

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Model_FromTrainingToDeletion_OverTheCommandLine()
    {
        await using var silo = await SiloProcess.Start(_folder.File("silo"));

        var job = (await Json("train", "--preset", "test", "--data", "scenes", "--model", "m", "--dvae-updates", "20", "--prior-updates", "20", "--detach")).GetProperty("job").GetString()!;
        AssertWatchedToTheEnd(await Lines("jobs", "watch", job));
        var listed = Assert.Single((await Json("jobs", "list")).EnumerateArray());
        Assert.Equal((job, "completed"), (listed.GetProperty("jobId").GetString(), listed.GetProperty("phase").GetString()));
        var model = Assert.Single((await Json("models", "list")).EnumerateArray());
        Assert.Equal(("m", job), (model.GetProperty("name").GetString(), model.GetProperty("jobId").GetString()));

        var drawn = await Draw("first");
        Assert.Equal(["a-large-red-circle-5-0.png", "a-large-red-circle-5-1.png"], drawn.Keys);
        Assert.Equal(drawn, await Draw("second"));
        await AssertStreams(drawn);

        var evaluation = await Json("eval", "m", "--captions", "3", "--best-of", "2", "--eight-bit");
        Assert.All(
            [evaluation, evaluation.GetProperty("best"), evaluation.GetProperty("eightBit")],
            figures => Assert.All(["zeroShot", "seen"], kind => Assert.Equal(3, figures.GetProperty(kind).GetProperty("captions").GetInt32())));
        Assert.InRange(evaluation.GetProperty("eightBit").GetProperty("tokens").GetProperty("drawn").GetDouble(), 0.5, 1);

        await Json("models", "delete", "m");
        Assert.Empty((await Json("models", "list")).EnumerateArray());
        Assert.False(Directory.Exists(_folder.File(Path.Combine("silo", "artifacts", model.GetProperty("path").GetString()!))));
        Assert.Equal((1, "dalle: There is no model 'm'. Published: none yet.\n"), await Fail("generate", Prompt, "--model", "m", "--out", _folder.File("none")));
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertWatchedToTheEnd(IReadOnlyList<JsonElement> events)
    {
        Assert.Equal(
            ["prepare", "tokenizer", "discreteVae", "encode", "prior", "reranker", "publish"],
            events.Where(next => TypeOf(next) == "stage.completed").Select(next => next.GetProperty("stage").GetString()));
        Assert.Equal(("phase", "completed"), (TypeOf(events[^1]), events[^1].GetProperty("phase").GetString()));
    }

    /// <summary>Draws the same two pictures into a folder of that name.</summary>
    /// <returns>The files as hexadecimal digits, by name.</returns>
    private async Task<SortedDictionary<string, string>> Draw(string name)
    {
        var result = await Json("generate", Prompt, "--model", "m", "-n", "2", "--seed", "5", "--out", _folder.File(name));
        var files = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var path in Directory.GetFiles(_folder.File(name)))
        {
            files[Path.GetFileName(path)] = Convert.ToHexString(await File.ReadAllBytesAsync(path, Token));
        }

        Assert.Equal(files.Keys, result.GetProperty("images").EnumerateArray().Select(image => Path.GetFileName(image.GetProperty("file").GetString())));
        return files;
    }

    private async Task AssertStreams(SortedDictionary<string, string> drawn)
    {
        var events = await Lines("generate", Prompt, "--model", "m", "-n", "2", "--seed", "5", "--stream", "--out", _folder.File("streamed"));

        Assert.Equal("started", TypeOf(events[0]));
        Assert.Contains(events, next => TypeOf(next) == "partial");
        Assert.Equal("completed", TypeOf(events[^1]));
        Assert.Equal(
            drawn.Values,
            events.Where(next => TypeOf(next) == "picture").OrderBy(next => next.GetProperty("candidate").GetInt32()).Select(next => Convert.ToHexString(next.GetProperty("png").GetBytesFromBase64())));
    }

    private static string? TypeOf(JsonElement next) => next.GetProperty("type").GetString();

    private async Task<JsonElement> Json(params string[] command) => (await Succeed(command)).Json;

    private async Task<JsonElement[]> Lines(params string[] command) =>
        [.. (await Succeed(command)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];

    private async Task<DalleProcess.Result> Succeed(string[] command)
    {
        var result = await Run(command);
        Assert.True(result.ExitCode == 0, $"dalle {string.Join(' ', command)}: {result.ExitCode} {result.Error}");
        return result;
    }

    private async Task<(int ExitCode, string Error)> Fail(params string[] command)
    {
        var result = await Run(command);
        return (result.ExitCode, result.Error);
    }

    private Task<DalleProcess.Result> Run(string[] command) => DalleProcess.Run([.. command, "--json", "--data-dir", _folder.File("silo")]);
}
