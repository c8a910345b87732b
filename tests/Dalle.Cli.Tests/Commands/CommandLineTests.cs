using System.Text.Json;
using Dalle.Cli.Hosting;

namespace Dalle.Cli.Tests.Commands;

/// <summary>Command lines that end before any silo is needed, run inside the test.</summary>
public sealed class CommandLineTests : IDisposable
{
    private readonly StringWriter _output = new() { NewLine = "\n" };
    private readonly StringWriter _error = new() { NewLine = "\n" };

    [Theory]
    [InlineData("train --preset tiny --data scenes", "Option '--model' is required.", "dalle train")]
    [InlineData("train --preset tiny --data scenes --model m --checkpoint-every 0", "--checkpoint-every expects at least 1, got 0.", "dalle train")]
    [InlineData(
        "train --preset typo --data scenes --model m", "--preset expects one of tiny, tiny-full, test, emoji, small, dalle-2.8b, dalle-5.6b, dalle-12b; got 'typo'.", "dalle train")]
    [InlineData("generate", "Required argument 'prompt' missing for command: 'generate'.", "dalle generate")]
    [InlineData("generate cat -n 65", "-n expects 1 to 64, got 65.", "dalle generate")]
    [InlineData("generate cat --top-p 1.5", "--top-p expects 0.001 to 1, got 1.5.", "dalle generate")]
    [InlineData("edit cat.png cat --keep-top 2", "--keep-top expects 0 to 1, got 2.", "dalle edit")]
    [InlineData("edit cat.png cat --keep-top 0.5 --vary 0.5", "Expected at most one of --mask, --keep-top, --redraw and --vary.", "dalle edit")]
    [InlineData("generate cat --seed none", "Cannot parse argument 'none' for option '--seed' as expected type 'System.Nullable`1[System.UInt64]'.", "dalle generate")]
    [InlineData("jobs", "Required command was not provided.", "dalle jobs")]
    [InlineData("jobs shwo 1", "Unrecognized command or argument 'shwo'.", "dalle jobs")]
    [InlineData("data", "Required command was not provided.", "dalle data")]
    [InlineData("data import pictures", "Option '--out' is required.", "dalle data import")]
    [InlineData("data import --out d", "Required argument 'source' missing for command: 'import'.", "dalle data import")]
    [InlineData("data import p --out d --held-out 1", "--held-out expects 0 to 0.9, got 1.", "dalle data import")]
    [InlineData("data import p --out d --max-aspect-ratio 0.5", "--max-aspect-ratio expects at least 1, got 0.5.", "dalle data import")]
    [InlineData("data import p --out d --shard-size 0", "--shard-size expects 1 to 1048576, got 0.", "dalle data import")]
    [InlineData("data inspect d -n 0", "-n expects 1 to 1024, got 0.", "dalle data inspect")]
    [InlineData("plan --silos 2", "Option '--preset' is required.", "dalle plan")]
    [InlineData("plan --preset tiny --silos 0", "--silos expects 1 to 100000, got 0.", "dalle plan")]
    [InlineData("plan --preset tiny --devices 0", "--devices expects 1 to 1024, got 0.", "dalle plan")]
    [InlineData("plan --preset tiny --rank -1", "--rank expects at least 0, got -1.", "dalle plan")]
    [InlineData("keys", "Required command was not provided.", "dalle keys")]
    [InlineData("keys create", "Required argument 'name' missing for command: 'create'.", "dalle keys create")]
    [InlineData("keys create me --role draw", "--role expects one of generate, train, admin; got 'draw'.", "dalle keys create")]
    [InlineData("keys create me --days 0", "--days expects 1 to 36500, got 0.", "dalle keys create")]
    [InlineData("keys create me --requests-per-minute 0", "--requests-per-minute expects 1 to 1000000, got 0.", "dalle keys create")]
    [InlineData("silo --http-port 70000", "--http-port expects 0 to 65535, got 70000.", "dalle silo")]
    public async Task Usage_NotValid_IsRefusedWithTheReasonAndWhereToLook(string line, string reason, string command)
    {
        Assert.Equal(ExitCodes.Usage, await Run(line.Split(' ')));
        Assert.Equal([$"dalle: {reason}", $"Try '{command} --help'."], _error.ToString().TrimEnd('\n').Split('\n'));
        Assert.Empty(_output.ToString());
    }

    [Fact]
    public async Task NoArguments_ShowHelp()
    {
        Assert.Equal(ExitCodes.Success, await Run());
        foreach (var command in new[] { "quickstart", "data", "silo", "train", "jobs", "generate", "edit", "models", "eval", "plan", "cluster", "keys" })
        {
            Assert.Contains($"  {command} ", _output.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Plan_OfThePapersModel_ShowsShardsMemoryAndBytes()
    {
        Assert.Equal(ExitCodes.Success, await Run("plan", "--preset", "dalle-12b", "--silos", "128", "--devices", "8"));
        var text = _output.ToString();

        Assert.StartsWith("dalle-12b: 12,292,808,448 parameters of the prior, 128 x 8 devices, gradients compressed to rank 896\n", text, StringComparison.Ordinal);
        Assert.Equal(8, text.Split('\n').Count(line => line.Contains("1,536,601,056", StringComparison.Ordinal)));
        Assert.Contains("85.9 % (beside the gradients of all devices; counted over these shards 84.7 %)", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_AsJson_IsOneDocument()
    {
        Assert.Equal(ExitCodes.Success, await Run("plan", "--preset", "tiny", "--silos", "2", "--devices", "2", "--rank", "4", "--json"));
        var plan = JsonDocument.Parse(_output.ToString()).RootElement;

        Assert.Equal((2, 2, 4), (plan.GetProperty("silos").GetInt32(), plan.GetProperty("devices").GetInt32(), plan.GetProperty("rank").GetInt32()));
        Assert.Equal(plan.GetProperty("parameters").GetInt64(), plan.GetProperty("shards").EnumerateArray().Sum(shard => shard.GetProperty("elements").GetInt64()));
        Assert.Equal(plan.GetProperty("bytesSent").GetInt64(), plan.GetProperty("shards").EnumerateArray().Sum(shard => shard.GetProperty("bytesPerUpdate").GetInt64()));
        Assert.InRange(plan.GetProperty("saved").GetDouble(), 0.5, 1);
        Assert.True(plan.GetProperty("memory").GetProperty("total").GetInt64() > 0);
    }

    [Fact]
    public async Task KeysCreate_WithANameThatCannotBe_SaysWhatCan()
    {
        Assert.Equal(ExitCodes.Failure, await Run("keys", "create", "my key"));
        Assert.Equal("dalle: 'my key' cannot be used as Name: expected 1 to 64 letters, digits, dots, dashes or underscores, not beginning with a dot.\n", _error.ToString());
    }

    [Fact]
    public async Task Train_OnAFolderThatIsNotThere_SaysHowToGetOne()
    {
        Assert.Equal(ExitCodes.Failure, await Run("train", "--preset", "tiny", "--data", "/no/such/folder", "--model", "m"));
        Assert.Equal(
            "dalle: No dataset at '/no/such/folder'. Import one with 'dalle data import SOURCE --out DIR', or train on the built-in 'scenes'.\n", _error.ToString());
    }

    [Fact]
    public async Task Train_DetachedWithPreviews_IsRefused()
    {
        Assert.Equal(ExitCodes.Failure, await Run("train", "--preset", "test", "--data", "scenes", "--model", "m", "--detach", "--previews", "p"));
        Assert.StartsWith("dalle: --previews needs a command that stays to the end", _error.ToString(), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _output.Dispose();
        _error.Dispose();
    }

    private Task<int> Run(params string[] arguments) => Invocation.Run(arguments, _output, _error, TestContext.Current.CancellationToken);
}
