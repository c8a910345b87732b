using System.Text.Json;
using Dalle.Cli.Commands;
using Dalle.Cli.Hosting;
using Dalle.Cli.Quickstart;
using Dalle.Contracts.Training;
using Dalle.Data.Pictures;
using Dalle.Tests.Shared;

namespace Dalle.Cli.Tests.Quickstart;

/// <summary>The quickstart from end to end, with networks that train in seconds.</summary>
public sealed class QuickstartRunTests : IDisposable
{
    /// <summary>One thread here and below: two would wait for each other on a busy machine.</summary>
    private static readonly TrainingSpec Spec = QuickstartRun.SpecOf("test") with { DiscreteVaeUpdates = 40, PriorUpdates = 30, RerankerUpdates = 20, ThreadsPerWorker = 1 };

    private readonly TemporaryFolder _folder = new();

    public QuickstartRunTests() => Environment.SetEnvironmentVariable("DALLE_WORKER__DEVICETHREADS", "1");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_IntoTheFolderOfAnOlderRun_LeavesPicturesAndAReportOfItsOwn()
    {
        await LeaveAnOlderRun();
        var output = new StringWriter { NewLine = "\n" };

        Assert.Equal(ExitCodes.Success, await QuickstartCommand.Run(Context(output), _folder.FullName, Spec, Token));

        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(_folder.File("report.json"), Token));
        using var printed = JsonDocument.Parse(output.ToString().TrimEnd('\n').Split('\n')[^1]);
        Assert.True(JsonElement.DeepEquals(report.RootElement, printed.RootElement));
        CheckFigures(report.RootElement);
        CheckPictures(report.RootElement);
        await using var cluster = await ClusterConnection.Open(Context(TextWriter.Null), Token);
        Assert.Single(await cluster.Client.ListJobs(Token));
    }

    [Fact]
    public async Task Run_IntoAFolderThatASiloServes_IsRefused_AndLeavesTheSilo()
    {
        var output = new StringWriter();
        var context = Context(output);
        await using var silo = await ClusterConnection.Open(context, Token);

        var error = await Assert.ThrowsAsync<CommandException>(() => QuickstartCommand.Run(context, _folder.FullName, Spec, Token));

        Assert.Equal($"A silo still serves {context.DataDirectory}; stop it, or name another folder with --out.", error.Message);
        Assert.Empty(await silo.Client.ListJobs(Token));
        Assert.Equal("", output.ToString());
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("DALLE_WORKER__DEVICETHREADS", null);
        _folder.Dispose();
    }

    private CommandContext Context(TextWriter output) => new(new Terminal(output, TextWriter.Null, json: true), _folder.File(".dalle"), Verbose: false, TimeProvider.System);

    /// <summary>A silo that knows a job, stopped in order, and the files beside it.</summary>
    private async Task LeaveAnOlderRun()
    {
        await using (var cluster = await ClusterConnection.Open(Context(TextWriter.Null), Token))
        {
            await cluster.Client.Cancel(await cluster.Client.Submit(Spec, Token), Token);
            Assert.Single(await cluster.Client.ListJobs(Token));
        }

        await File.WriteAllTextAsync(_folder.File("report.json"), "{}", Token);
        await File.WriteAllTextAsync(_folder.File("contact-sheet.png"), "not a picture", Token);
    }

    private static void CheckFigures(JsonElement report)
    {
        Assert.Equal(Spec.Preset, report.GetProperty("preset").GetString());
        Assert.All(["total", "dvae", "encode", "prior", "reranker", "generate", "evaluate"], stage => AssertAboveZero(report, "seconds", stage));

        Assert.Equal(40, report.GetProperty("dvae").GetProperty("updates").GetInt32());
        AssertAboveZero(report, "dvae", "psnr");
        var codes = report.GetProperty("dvae").GetProperty("codes").GetInt32();
        Assert.InRange(codes, 1, 32);
        Assert.InRange(Number(report, "dvae", "perplexity"), 1, codes + 0.001);

        Assert.Equal(30, report.GetProperty("prior").GetProperty("updates").GetInt32());
        Assert.All(["imageLoss", "textLoss", "tokensPerSecond"], name => AssertAboveZero(report, "prior", name));

        Assert.Equal(20, report.GetProperty("reranker").GetProperty("updates").GetInt32());
        Assert.All(["imageToText", "textToImage"], name => Assert.InRange(Number(report, "reranker", name), 0, 1));

        Assert.All(["zeroShot", "seen"], kind =>
        {
            Assert.Equal(200, report.GetProperty(kind).GetProperty("captions").GetInt32());
            Assert.InRange(Number(report, kind, "accuracy"), 0, 1);
        });
    }

    private void CheckPictures(JsonElement report)
    {
        var images = report.GetProperty("images").EnumerateArray()
            .Select(image => new QuickstartImage(image.GetProperty("prompt").GetString()!, image.GetProperty("seed").GetUInt64(), image.GetProperty("file").GetString()!))
            .ToList();
        Assert.Equal(QuickstartPrompts.All, images.Select(image => image.Prompt));
        Assert.Equal([1UL, 2, 3, 4], images.Select(image => image.Seed));

        var files = Directory.GetFiles(_folder.FullName).Select(Path.GetFileName);
        Assert.Equal(images.Select(image => image.File).Append("contact-sheet.png").Append("report.json").Order(StringComparer.Ordinal), files.Order(StringComparer.Ordinal));
        Assert.All(images.Select(image => Decode(image.File)), picture => Assert.Equal((32, 32), (picture.Width, picture.Height)));
        Assert.InRange(Decode("contact-sheet.png").Width, 32 * 2, int.MaxValue);
    }

    private Picture Decode(string file) => PictureDecoder.Decode(File.ReadAllBytes(_folder.File(file)));

    private static double Number(JsonElement report, string section, string name) => report.GetProperty(section).GetProperty(name).GetDouble();

    private static void AssertAboveZero(JsonElement report, string section, string name) =>
        Assert.True(Number(report, section, name) > 0, $"{section}.{name} is {Number(report, section, name)}.");
}
