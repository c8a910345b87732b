using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Grains.Generation;
using Dalle.Grains.Hosting;
using Dalle.Grains.Tests.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Core.Internal;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.Hosting;
using Orleans.Serialization;
using Orleans.TestingHost;

namespace Dalle.Grains.Tests.Generation;

/// <summary>Two silos, each with a <see cref="ScriptedGeneratorGrain"/>.</summary>
public sealed class SessionCluster : IAsyncLifetime
{
    private readonly InProcessTestCluster _cluster;

    public SessionCluster()
    {
        var builder = new InProcessTestClusterBuilder(initialSilosCount: 2);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddGrainStorage(GenerationStorage.Name, (services, _) => new SharedStorage(Stored, services.GetRequiredService<Serializer>()));
            silo.AddDalleGrains().AddMemoryGrainStorageAsDefault().UseInMemoryReminderService();
        });
        _cluster = builder.Build();
    }

    public IGrainFactory Grains => _cluster.Client;

    /// <summary>The silos as one of them knows them.</summary>
    public ISiloStatusOracle Membership => _cluster.Silos[0].ServiceProvider.GetRequiredService<ISiloStatusOracle>();

    /// <summary>What the sessions have stored.</summary>
    public StoredGrains Stored { get; } = new();

    /// <summary>Addresses of the silos.</summary>
    public IReadOnlyList<string> Silos => [.. _cluster.Silos.Select(silo => silo.SiloAddress.ToParsableString())];

    public async ValueTask InitializeAsync()
    {
        await _cluster.DeployAsync();
        await Grains.GetGrain<IModelCatalogGrain>(0).Publish(
            new ModelManifest { Name = "m", Preset = "test", Path = "models/m", Published = default, ImageSize = 8, GridSize = 2, Parameters = 1 });
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();
}

public sealed class GenerationSessionGrainTests(SessionCluster cluster) : IClassFixture<SessionCluster>
{
    private const string WholeSession = "1 started, 2 row, 3 row, 4 row, 5 row, 6 picture, 7 picture, 8 completed";
    private static ulong _seed;

    private readonly GenerationRequest _request = new() { Model = "m", Prompt = "a red circle", Candidates = 2, Seed = Interlocked.Increment(ref _seed) };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private GeneratorScript Script => GeneratorScripts.Of(_request.Seed);

    private IGenerationSessionGrain Session => cluster.Grains.GetGrain<IGenerationSessionGrain>($"session-{_request.Seed}");

    [Fact]
    public async Task Session_StreamsToItsEnd_AndTellsItAgain()
    {
        Script.AllowRows(2);

        var events = await Read();
        var again = await Read();
        var rest = await Read(after: 5);

        Assert.Equal(WholeSession, Text(events));
        Assert.Equal(WholeSession, Text(again));
        Assert.Equal("6 picture, 7 picture, 8 completed", Text(rest));
        Assert.Equal([10, 11, 12, 13], events.OfType<PictureCompleted>().Last().Tokens);
        Assert.Equal(new GenerationStatus(GenerationPhase.Completed, _request, 2, null), await Session.GetStatus(Token));
        Assert.Single(Script.Drew);
    }

    [Fact]
    public async Task Session_TwoReaders_ReadTheSame_WhileItIsDrawn()
    {
        var first = Read();
        var second = Read();
        Script.AllowRows(2);

        Assert.Equal(WholeSession, Text(await first));
        Assert.Equal(WholeSession, Text(await second));
        Assert.Single(Script.Drew);
    }

    [Fact]
    public async Task Session_ReaderThatWasCutOff_GoesOnWhereItStopped()
    {
        Script.AllowRows(1);
        using var cut = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var seen = new List<GenerationEvent>();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var item in Session.Generate(_request, 0, cut.Token).WithBatchSize(1).WithCancellation(cut.Token))
            {
                seen.Add(item);
                if (seen.Count == 3)
                {
                    await cut.CancelAsync();
                }
            }
        });
        Script.AllowRows(1);

        var rest = await Read(after: 3);

        Assert.Equal("1 started, 2 row, 3 row", Text(seen));
        Assert.Equal("4 row, 5 row, 6 picture, 7 picture, 8 completed", Text(rest));
        Assert.Single(Script.Drew);
    }

    [Fact]
    public async Task Session_WhoseGeneratorIsLost_GoesOnWithAnotherFromTheRowsItHas()
    {
        Script.BreaksAfter = 0;
        Script.AllowRows(2);

        var events = await Read();

        Assert.Equal(WholeSession, Text(events));
        Assert.Equal([0, 1, 2, 3], events.OfType<PictureCompleted>().First().Tokens);
        Assert.Equal(2, Script.Drew.Count);
    }

    [Fact]
    public async Task Session_WhileItIsDrawn_StaysInMemory_HoweverSlowItsReaderIs()
    {
        Script.AllowRows(1);
        await using var slow = Session.Generate(_request, 0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        Assert.True(await slow.MoveNextAsync());

        await cluster.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, Token);
        Script.AllowRows(1);
        while (await slow.MoveNextAsync())
        {
        }

        Assert.Single(Script.Drew);
    }

    [Fact]
    public async Task Session_AfterItsActivationIsGone_GoesOnFromWhatIsStored()
    {
        Script.AllowRows(1);
        await foreach (var item in Session.Generate(_request, 0, Token).WithBatchSize(1).WithCancellation(Token))
        {
            if (item is RowSampled { Candidate: 1 })
            {
                break;
            }
        }

        await Session.AsReference<IGrainManagementExtension>().DeactivateOnIdle(Token);
        await Script.LetGo.Task.WaitAsync(Token);
        Script.AllowRows(1);

        Assert.Equal(WholeSession, Text(await Read()));
        Assert.Equal(2, Script.Drew.Count);
    }

    [Fact]
    public async Task Session_WhoseStoreIsAwayForAMoment_TellsOfEveryRow_OnceItIsKept()
    {
        cluster.Stored.FailNextWrite($"session-{_request.Seed}");
        Script.AllowRows(4);

        Assert.Equal(WholeSession, Text(await Read()));
        Assert.Equal(2, Script.Drew.Count);
    }

    [Fact]
    public async Task Session_ThatWasWrittenWithoutItsKnowledge_IsReadAnew()
    {
        cluster.Stored.LoseNextAnswer($"session-{_request.Seed}");
        Script.AllowRows(6);

        var seen = new List<GenerationEvent>();
        await Assert.ThrowsAsync<SiloUnavailableException>(async () =>
        {
            await foreach (var item in Session.Generate(_request, 0, Token).WithBatchSize(1).WithCancellation(Token))
            {
                seen.Add(item);
            }
        });
        var rest = await Read(after: seen.Count);

        Assert.Equal(WholeSession, Text(seen.Concat(rest)));
        Assert.Equal(3, Script.Drew.Count);
    }

    [Fact]
    public async Task Session_WhereOneGeneratorIsFull_UsesTheOther()
    {
        Script.Full.Add(cluster.Silos[0]);
        Script.AllowRows(2);

        Assert.Equal(WholeSession, Text(await Read()));
        Assert.Equal([cluster.Silos[1]], Script.Drew);
    }

    [Theory]
    [InlineData(1, 0, true, 0, 0, 9, false, 2)]
    [InlineData(0, 0, false, 0, 0, 9, true, 2)]
    [InlineData(0, 0, true, 1, 0, 9, true, 0)]
    [InlineData(0, 3, true, 0, 0, 2, true, 0)]
    public async Task Session_IsDrawnWhereItIsDrawnSoonest(
        int waiting, int running, bool loaded, int training, int otherWaiting, int otherRunning, bool otherLoaded, int otherTraining)
    {
        var request = _request with { Model = $"m{_request.Seed}" };
        await cluster.Grains.GetGrain<IModelCatalogGrain>(0).Publish(
            new() { Name = request.Model, Preset = "test", Path = "models/m", Published = default, ImageSize = 8, GridSize = 2, Parameters = 1 }, Token);
        Script.AllowRows(4);

        foreach (var (busy, other) in new[] { (0, 1), (1, 0) })
        {
            Script.Drew.Clear();
            Script.Loads[cluster.Silos[busy]] = new(waiting, running, loaded, training);
            Script.Loads[cluster.Silos[other]] = new(otherWaiting, otherRunning, otherLoaded, otherTraining);
            await cluster.Grains.GetGrain<IGenerationSessionGrain>($"ranked-{_request.Seed}-{busy}").Generate(request, 0, Token).CountAsync(Token);

            Assert.Equal([cluster.Silos[other]], Script.Drew);
        }
    }

    [Theory]
    [InlineData(7, 3, 3)]
    [InlineData(7, null, null)]
    [InlineData(null, null, null)]
    public async Task Wait_IsTheShortest_WhereAllGeneratorsAreFull(int? first, int? second, int? shortest)
    {
        var model = new ModelManifest { Name = $"m{_request.Seed}", Preset = "test", Path = "models/m", Published = default, ImageSize = 8, GridSize = 2, Parameters = 1 };
        foreach (var (silo, seconds) in cluster.Silos.Zip([first, second]))
        {
            Script.Loads[silo] = new(0, 0, Loaded: true, 0, seconds is { } wait ? TimeSpan.FromSeconds(wait) : null);
        }

        var generators = new GeneratorDirectory(cluster.Membership, cluster.Grains, TimeProvider.System);

        Assert.Equal(shortest, (await generators.FindWait(model))?.TotalSeconds);
    }

    [Fact]
    public async Task Session_WhereAllGeneratorsAreFull_IsRefused_AndMayBeBegunAgain()
    {
        Script.Full.UnionWith(cluster.Silos);
        var refused = await Assert.ThrowsAsync<OverloadedException>(() => Read());

        Script.Full.Clear();
        Script.AllowRows(2);

        Assert.Equal(TimeSpan.FromSeconds(3), refused.RetryAfter);
        Assert.Equal(WholeSession, Text(await Read()));
    }

    [Fact]
    public async Task Session_Cancelled_LetsTheGeneratorGo_AndTellsItsReaders()
    {
        Script.AllowRows(1);
        var reading = Session.Generate(_request, 0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        Assert.True(await reading.MoveNextAsync());

        await Session.Cancel(Token);

        await Script.LetGo.Task.WaitAsync(Token);
        await Assert.ThrowsAsync<GenerationFailedException>(async () =>
        {
            while (await reading.MoveNextAsync())
            {
            }
        });
        Assert.Equal(GenerationPhase.Cancelled, (await Session.GetStatus(Token)).Phase);
        await Assert.ThrowsAsync<GenerationFailedException>(() => Read());
    }

    [Fact]
    public async Task Session_AskedForSomethingElse_RefusesByName()
    {
        Script.AllowRows(2);
        await Read();

        var error = await Assert.ThrowsAsync<InvalidRequestException>(async () => await Session.Generate(_request with { Prompt = "other" }, 0, Token).CountAsync(Token));

        Assert.Contains("'a red circle'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Session_OfABadRequest_OrAnUnknownModel_IsRefused()
    {
        await Assert.ThrowsAsync<InvalidRequestException>(async () => await Session.Generate(_request with { Candidates = 0 }, 0, Token).CountAsync(Token));
        await Assert.ThrowsAsync<NotFoundException>(async () => await Session.Generate(_request with { Model = "none" }, 0, Token).CountAsync(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Session.GetStatus(Token));
    }

    private async Task<List<GenerationEvent>> Read(long after = 0) => await Session.Generate(_request, after, Token).ToListAsync(Token);

    private static string Text(IEnumerable<GenerationEvent> events) => string.Join(", ", events.Select(item => $"{item.Sequence} {Name(item)}"));

    private static string Name(GenerationEvent item) => item switch
    {
        GenerationStarted => "started",
        RowSampled => "row",
        PictureCompleted => "picture",
        GenerationCompleted => "completed",
        _ => item.GetType().Name,
    };
}
