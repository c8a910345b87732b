using Dalle.Contracts.Generation;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Model.Presets;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;

namespace Dalle.EndToEnd.Tests.Generation;

/// <summary>Sessions whose silos are killed go on elsewhere: their readers are told everything once, and the pictures are the same to the bit.</summary>
public sealed class SessionKillTests(ITestOutputHelper output) : IAsyncDisposable
{
    /// <summary>Sessions at once: enough that each of three silos has some.</summary>
    private const int Sessions = 12;

    private const int Candidates = 8;

    private readonly SiloCluster _cluster = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Large enough that all sessions together take seconds.</summary>
    private static Preset Preset { get; } = Preset.Test with
    {
        Transformer = Preset.Test.Transformer with { Layers = 12, Width = 256, Heads = 8 },
    };

    [Fact]
    public async Task Sessions_WhoseSiloIsKilled_GoOnElsewhere_WithoutAGapOrARepeat()
    {
        await Start();
        await KillAmid(new Random(1), "the only loss");
    }

    /// <summary>By command only: it takes minutes.</summary>
    [Fact(Explicit = true)]
    public async Task Sessions_ThroughThirtyKillsAtRandom_GoOnEachTime()
    {
        await Start();
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");
        var random = new Random(seed);
        for (var kill = 1; kill <= 30; kill++)
        {
            await KillAmid(random, $"kill {kill}");
        }
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    private static GenerationRequest Request(int session) => new() { Model = "m", Prompt = $"a red circle {session}", Candidates = Candidates, Seed = (ulong)session, PartialPictures = 1 };

    private async Task Start()
    {
        await _cluster.Start(3);
        var manifest = PublishedTestModel.Write(new ArtifactStore(Path.Combine(_cluster.DataFolder, "artifacts")), "m", preset: Preset);
        await _cluster.Silos[0].Client.PublishModel(manifest, Token);
    }

    private async Task KillAmid(Random random, string what)
    {
        // The first silo has the store, and the client; any of the others may go.
        var client = _cluster.Silos[0].Client;
        var killed = _cluster.Silos[random.Next(1, 3)];
        var after = random.Next(1, Sessions * Candidates * Preset.Transformer.GridSize / 2);
        var (rows, lost) = (0, long.MaxValue);
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var names = Enumerable.Range(0, Sessions).Select(_ => Guid.NewGuid().ToString("N")).ToArray();
        var sessions = names.Select((name, session) => Read(name, session)).ToArray();
        await enough.Task.WaitAsync(Token);
        Interlocked.Exchange(ref lost, TimeProvider.System.GetTimestamp());
        var time = TimeProvider.System.GetUtcNow();
        killed.Send(Signal.Kill);
        Assert.Contains(sessions, session => !session.IsCompleted);
        await _cluster.Remove(killed);
        var told = await Task.WhenAll(sessions);
        await _cluster.Join();

        for (var session = 0; session < Sessions; session++)
        {
            var whole = await client.Generate(Request(session), Token).ToListAsync(Token);
            Assert.Equal(whole.Select(Text), told[session].Events.Select(Text));
        }

        output.WriteLine($"{what} at {time:HH:mm:ss.fff}, after {after} rows; longest silence of a session from then on {told.Max(session => session.Silence).TotalSeconds:f2} s.");

        async Task<(List<GenerationEvent> Events, TimeSpan Silence)> Read(string name, int session)
        {
            var events = new List<GenerationEvent>();
            var silence = TimeSpan.Zero;
            var last = TimeProvider.System.GetTimestamp();
            await foreach (var item in client.Generate(name, Request(session), 0, Token))
            {
                var (before, now) = (Math.Max(last, Interlocked.Read(ref lost)), TimeProvider.System.GetTimestamp());
                if (before < now && TimeProvider.System.GetElapsedTime(before, now) is var gap && gap > silence)
                {
                    silence = gap;
                }

                last = now;
                events.Add(item);
                if (item is RowSampled && Interlocked.Increment(ref rows) == after)
                {
                    enough.SetResult();
                }
            }

            return (events, silence);
        }
    }

    /// <summary>All that an event says but how long it took.</summary>
    private static string Text(GenerationEvent item) => item switch
    {
        GenerationStarted e => $"{e.Sequence} started {e.PromptTokens}",
        RowSampled e => $"{e.Sequence} {e.Candidate} row {e.Row}: {string.Join(' ', e.Tokens)}",
        PartialPicture e => $"{e.Sequence} {e.Candidate} partial {e.Index}: {Convert.ToHexString(e.Png.Span)}",
        PictureCompleted e => $"{e.Sequence} {e.Candidate} picture {string.Join(' ', e.Tokens)} {Convert.ToHexString(e.Png.Span)}",
        GenerationCompleted e => $"{e.Sequence} completed {e.ImageTokens}",
        _ => throw new InvalidOperationException($"{item}"),
    };
}
