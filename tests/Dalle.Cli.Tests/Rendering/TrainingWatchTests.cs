using System.Text.Json;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;

namespace Dalle.Cli.Tests.Rendering;

public sealed class TrainingWatchTests
{
    private static readonly TrainingEvent[] Run =
    [
        new StageStarted(TrainingStage.Prior, 0, 2) { Sequence = 1 },
        new PriorStepCompleted { Sequence = 2, Step = 1, Updates = 2, Loss = 2.5, TextLoss = 1, ImageLoss = 3 },
        new StageCompleted(TrainingStage.Prior, 3) { Sequence = 3 },
    ];

    [Fact]
    public async Task Follow_Json_WritesEveryEventAsALineAndTextElsewhere()
    {
        var (output, error) = await Follow(json: true);

        var events = output.TrimEnd('\n').Split('\n').Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(["stage.started", "prior.step", "stage.completed"], events.Select(e => e.GetProperty("type").GetString()));
        Assert.Equal(2.5, events[1].GetProperty("loss").GetDouble());
        Assert.Equal("prior", events[0].GetProperty("stage").GetString());
        Assert.StartsWith("prior started\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Follow_NoTerminal_WritesPlainLinesWithoutEscapes()
    {
        var (output, error) = await Follow(json: false);

        Assert.Equal("prior started\nprior 1/2 (50 %)  loss 2.5000  image 3.0000  text 1.0000  0.0 tokens/s  0:00 left\nprior done in 0:03\n", output);
        Assert.Empty(error);
    }

    private static async Task<(string Output, string Error)> Follow(bool json)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var context = new CommandContext(new Terminal(output, error, json), "/data", Verbose: false, TimeProvider.System);
        await TrainingWatch.Follow(context, new TrainingProgress(), "title", Run.ToAsyncEnumerable(), TestContext.Current.CancellationToken);
        return (output.ToString(), error.ToString());
    }
}
