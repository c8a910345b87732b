using System.Diagnostics;
using Dalle.Collectives.Compression;
using static Dalle.Model.Native.HeldScalars;

namespace Dalle.Collectives.Tests.Updates;

public sealed class GradientExchangeTests
{
    private const int Steps = 5;

    /// <summary>One host; a host a replica; a replica shared out; a host a worker.</summary>
    public static TheoryData<int, string> Hostings() => [.. from rank in (int[])[0, 2] from hosting in Places.Keys where hosting != "one" select (rank, hosting)];

    private static IReadOnlyDictionary<string, (int, int, int, int)[]> Places { get; } = new Dictionary<string, (int, int, int, int)[]>
    {
        ["one"] = [(0, 3, 0, 2)],
        ["a host a replica"] = [(0, 1, 0, 2), (1, 1, 0, 2), (2, 1, 0, 2)],
        ["two and one"] = [(0, 2, 0, 2), (2, 1, 0, 2)],
        ["one replica shared out"] = [(0, 1, 0, 1), (0, 1, 1, 1), (1, 1, 0, 2), (2, 1, 0, 2)],
        ["a host a worker"] = [(0, 1, 0, 1), (0, 1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 1), (2, 1, 0, 1), (2, 1, 1, 1)],
    };

    [Theory]
    [MemberData(nameof(Hostings))]
    public async Task Updates_ComeToTheSameBytes_WhereverTheWorkersAre(int rank, string hosting)
    {
        var expected = await Run(rank, Places["one"]);
        await using var hosts = TestHosts.Of(3, 2, rank, Places[hosting]);

        await hosts.Run(host => Updates(host));

        Assert.All(hosts.Hosts, host => Assert.All(host.State(), piece => Assert.Equal(expected.State[piece.Key], piece.Value)));
        Assert.All(hosts.Hosts, host => Assert.Equal(expected.Norms, host.Verdicts.Select(verdict => verdict.Norm)));
    }

    [Fact]
    public async Task Uncompressed_TheMeanGradientIsTheSumOverAllWorkers()
    {
        await using var hosts = TestHosts.Of(3, 2, 0, Places["two and one"]);
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var trainer = new TestTrainer(hosts.Hosts[0].Rows);
        var sum = TorchSharp.torch.zeros(trainer.Network.Count);
        for (var worker = 0; worker < 6; worker++)
        {
            trainer.Compute(0, worker);
            sum.add_(trainer.Network.Gradient, One);
        }

        await hosts.Run(host => host.Update(0));

        foreach (var host in hosts.Hosts)
        {
            Assert.InRange(host.Trainer.Held.Gradient.sub(sum).abs().max().item<float>(), 0, 1e-4f);
            Assert.Equal(sum.norm().item<float>(), host.Verdicts[0].Norm, 1e-3);
        }
    }

    [Theory]
    [InlineData("one")]
    [InlineData("one replica shared out")]
    public async Task Updates_BeforeTheFirstCompressedOne_AreAsUncompressed(string hosting)
    {
        const int WarmUp = 2;
        await using var plain = TestHosts.Of(3, 2, 0, Places[hosting]);
        await using var hosts = TestHosts.Of(3, 2, new CompressionSettings(2, WarmUp: WarmUp), Places[hosting]);

        await plain.Run(host => Updates(host, to: WarmUp));
        await hosts.Run(host => Updates(host, to: WarmUp));

        foreach (var (host, uncompressed) in hosts.Hosts.Zip(plain.Hosts))
        {
            Assert.Equal(uncompressed.State()["network"], host.State()["network"]);
            Assert.Equal(uncompressed.Verdicts.Select(verdict => verdict.Norm), host.Verdicts.Select(verdict => verdict.Norm));
            Assert.All(Errors(host), error => Assert.Equal(0, error));
        }

        await plain.Run(host => host.Update(WarmUp));
        await hosts.Run(host => host.Update(WarmUp));

        foreach (var (host, uncompressed) in hosts.Hosts.Zip(plain.Hosts))
        {
            Assert.NotEqual(uncompressed.State()["network"], host.State()["network"]);
            Assert.Contains(Errors(host), error => error != 0);
        }
    }

    [Fact]
    public async Task Verdict_IsTheSameOnAllHosts_AndSumsFiguresInOrderOfTheWorkers()
    {
        await using var hosts = TestHosts.Of(3, 2, 0, Places["one replica shared out"]);

        await hosts.Run(host => host.Update(0));

        foreach (var host in hosts.Hosts)
        {
            var verdict = host.Verdicts[0];
            Assert.Equal(15, verdict.Figures[0]);
            Assert.Equal(1 + (1.0 / 2) + (1.0 / 3) + (1.0 / 4) + (1.0 / 5) + (1.0 / 6), verdict.Figures[1], 12);
            Assert.Equal([0, 1, 2, 3, 4, 5], verdict.NotFinite.Order());
            Assert.Equal(Collectives.Updates.Wishes.Snapshot, verdict.Wishes);
            Assert.Empty(verdict.Leaving);
        }
    }

    [Theory]
    [InlineData(0, float.NaN)]
    [InlineData(2, float.PositiveInfinity)]
    public async Task Update_WithAGradientThatIsNotFinite_IsSkippedEverywhere_AndLeavesEveryBufferAsItWas(int rank, float spoilt)
    {
        await using var hosts = TestHosts.Of(3, 2, rank, Places["one replica shared out"]);
        await hosts.Run(host => host.Update(0));
        var before = hosts.Hosts.Select(host => host.State()).ToArray();

        await hosts.Run(host => host.Update(1, (worker, gradient) =>
        {
            if (worker == 3)
            {
                gradient[0] = spoilt;
            }
        }));

        foreach (var (i, host) in hosts.Hosts.Index())
        {
            Assert.False(host.Verdicts[1].IsFinite);
            var after = host.State();
            Assert.Equal(before[i]["network"], after["network"]);
            Assert.All(before[i].Where(piece => piece.Key.StartsWith("error", StringComparison.Ordinal)), piece => Assert.Equal(piece.Value, after[piece.Key]));
        }
    }

    [Fact]
    public async Task Update_TellsWhereItsTimeGoes()
    {
        var phases = new System.Collections.Concurrent.ConcurrentDictionary<string, int>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Collectives.Updates.UpdateTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span => phases.AddOrUpdate(span.OperationName, 1, (_, count) => count + 1),
        };
        ActivitySource.AddActivityListener(listener);
        await using var hosts = TestHosts.Of(3, 2, 2, Places["one replica shared out"]);

        await hosts.Run(host => host.Update(0));

        Assert.Equal(["commit", "compress", "exchange", "gather", "reduce", "vote"], phases.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task SharedErrors_AreTheSumOverReplicas_OfWhichEachKeepsItsPart()
    {
        await using var hosts = TestHosts.Of(3, 2, 2, Places["a host a worker"]);
        await hosts.Run(host => Updates(host));
        var errors = hosts.Hosts.ToDictionary(host => (host.Grid.Own.FirstReplica, host.Grid.Own.FirstOrdinal), host => Floats(host.State()[$"error {host.Grid.Own.FirstReplica}/{host.Grid.Own.FirstOrdinal}"]));

        await hosts.Run(host =>
        {
            using var sum = host.Exchange.ShareErrors(Steps, host.Grid.Own.FirstOrdinal, TestContext.Current.CancellationToken);
            var ordinal = host.Grid.Own.FirstOrdinal;
            var expected = errors[(0, ordinal)].Select((error, i) => error + errors[(1, ordinal)][i] + errors[(2, ordinal)][i]).ToArray();
            Assert.Equal(expected, sum.data<float>().ToArray());
            using var share = host.Exchange.ReadError(host.Grid.Own.FirstReplica, ordinal);
            Assert.Equal(sum.div(Number(3)).data<float>().ToArray(), share.data<float>().ToArray());
            Assert.Contains(expected, error => error != 0);
        });
    }

    [Fact]
    public async Task Pieces_SavedOnOneHosting_AndLoadedOnAnother_GoOnToTheSameBytes()
    {
        var expected = await Run(2, Places["one"]);
        await using var first = TestHosts.Of(3, 2, 2, Places["two and one"]);
        await first.Run(host => Updates(host, to: 2));
        var kept = first.Hosts.SelectMany(host => host.State()).DistinctBy(piece => piece.Key).ToDictionary();
        await using var second = TestHosts.Of(3, 2, 2, Places["a host a worker"]);

        await second.Run(host =>
        {
            var (replica, ordinal) = (host.Grid.Own.FirstReplica, host.Grid.Own.FirstOrdinal);
            using var piece = Collectives.Updates.StateBuffer.Of(TorchSharp.torch.tensor(kept[$"ordinal {ordinal}"]));
            host.Pieces.Load(ordinal, piece);
            host.Exchange.WriteError(replica, ordinal, TorchSharp.torch.tensor(Floats(kept[$"error {replica}/{ordinal}"])));
            host.Exchange.Publish(-1, TestContext.Current.CancellationToken);
            Updates(host, from: 2);
        });

        Assert.All(second.Hosts, host => Assert.All(host.State(), piece => Assert.Equal(expected.State[piece.Key], piece.Value)));
    }

    private static async Task<(IReadOnlyDictionary<string, byte[]> State, double[] Norms)> Run(int rank, (int, int, int, int)[] places)
    {
        await using var hosts = TestHosts.Of(3, 2, rank, places);
        await hosts.Run(host => Updates(host));
        return (hosts.Hosts[0].State(), [.. hosts.Hosts[0].Verdicts.Select(verdict => verdict.Norm)]);
    }

    private static void Updates(TestHost host, int from = 0, int to = Steps)
    {
        for (var step = from; step < to; step++)
        {
            host.Update(step);
        }
    }

    private static IEnumerable<float> Errors(TestHost host) => host.State().Where(piece => piece.Key.StartsWith("error", StringComparison.Ordinal)).SelectMany(piece => Floats(piece.Value));

    private static float[] Floats(byte[] bytes) => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray();
}
