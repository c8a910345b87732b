using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Model.Presets;
using Dalle.Model.Sampling;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Generation;
using Dalle.Workers.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using TorchSharp;

namespace Dalle.Workers.Tests.Generation;

public sealed class GenerationEngineTests : IAsyncLifetime
{
    private const int GridSize = 4;

    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-engine-").FullName);
    private readonly DeviceThread _device = new(torch.CPU, threads: 1);
    private readonly ModelManifest _model;
    private readonly GenerationEngine _engine;

    public GenerationEngineTests()
    {
        _model = PublishedTestModel.Write(_store, "m");
        _engine = Engine(new GeneratorOptions());
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        _device.Dispose();
        Directory.Delete(_store.Root, recursive: true);
    }

    [Fact]
    public async Task Engine_ReportsStart_EveryRow_PartialsAfterTheirRows_ThenThePictures()
    {
        var reports = await Draw(Request("a red circle", candidates: 2, partials: 1));

        Assert.Equal(
            "SamplingStarted RowsSampled RowsSampled PartialDecoded PartialDecoded RowsSampled RowsSampled PictureDecoded PictureDecoded",
            string.Join(' ', reports.Select(report => report.GetType().Name)));
        Assert.All(reports.OfType<RowsSampled>(), row => Assert.Equal([GridSize, GridSize], row.Tokens.Select(tokens => tokens.Count)));
        Assert.Equal([0, 1], reports.OfType<PictureDecoded>().Select(picture => picture.Candidate));
        var picture = PictureDecoder.Decode(reports.OfType<PictureDecoded>().First().Png.Span);
        Assert.Equal((32, 32), (picture.Width, picture.Height));
    }

    [Fact]
    public async Task Engine_PartialPicture_IsWhiteBelowTheRowsSampled()
    {
        var reports = await Draw(Request("a red circle", partials: 1));

        var partial = PictureDecoder.Decode(reports.OfType<PartialDecoded>().Single().Png.Span);

        Assert.All(partial.Rgb[(16 * 32 * 3)..], value => Assert.Equal(255, value));
        Assert.Contains(partial.Rgb[..(16 * 32 * 3)], value => value != 255);
    }

    [Fact]
    public async Task Engine_SameSeed_GivesTheSamePictures_WhateverIsDrawnBeside()
    {
        var request = Request("a red circle", candidates: 2, seed: 7);
        var alone = await Draw(request);
        var others = Enumerable.Range(0, 5).Select(i => Draw(Request("a green cross", candidates: 1 + i, seed: (ulong)i))).ToList();

        var together = await Draw(request);

        Assert.Equal(Pictures(alone), Pictures(together));
        Assert.Equal(Tokens(alone, 0), Tokens(together, 0));
        Assert.NotEqual(Tokens(alone, 0), Tokens(alone, 1));
        await Task.WhenAll(others);
    }

    [Fact]
    public async Task Engine_GoesOnFromKnownRows_ToTheSamePictures()
    {
        var request = Request("a red circle", candidates: 2, seed: 7);
        var whole = await Draw(request);
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate)[..(3 * GridSize)])];

        var rest = await Draw(request with { Tokens = known });
        var decoded = await Draw(request with { Tokens = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate))] });

        Assert.Single(rest.OfType<RowsSampled>());
        Assert.Equal(Tokens(whole, 1)[(3 * GridSize)..], Tokens(rest, 1));
        Assert.Empty(decoded.OfType<RowsSampled>());
        Assert.Equal(Pictures(whole), Pictures(rest));
        Assert.Equal(Pictures(whole), Pictures(decoded));
    }

    [Theory]
    [InlineData(2, 0, "SamplingStarted PartialDecoded PartialDecoded RowsSampled RowsSampled PictureDecoded PictureDecoded")]
    [InlineData(3, 0, "SamplingStarted PartialDecoded PartialDecoded RowsSampled PictureDecoded PictureDecoded")]
    [InlineData(4, 0, "SamplingStarted PartialDecoded PartialDecoded PictureDecoded PictureDecoded")]
    [InlineData(2, 1, "SamplingStarted RowsSampled RowsSampled PictureDecoded PictureDecoded")]
    public async Task Engine_GoingOnBehindPartials_TellsThoseThatWereNotTold_BeforeAnyRow(int rows, int partialsTold, string reports)
    {
        var request = Request("a red circle", candidates: 2, seed: 7, partials: 1);
        var whole = await Draw(request);
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate)[..(rows * GridSize)])];

        var rest = await Draw(request with { Tokens = known, PartialsTold = partialsTold });

        Assert.Equal(reports, string.Join(' ', rest.Select(report => report.GetType().Name)));
        Assert.Equal(
            whole.OfType<PartialDecoded>().Skip(2 * partialsTold).Select(partial => Convert.ToHexString(partial.Png.Span)),
            rest.OfType<PartialDecoded>().Select(partial => Convert.ToHexString(partial.Png.Span)));
    }

    [Fact]
    public async Task Engine_AskedForTheBest_TellsScores_WhichAModelWithoutARerankerRefuses()
    {
        var request = Request("a red circle", candidates: 3, seed: 7);
        var ranked = request with { Request = request.Request with { Keep = 1 }, Model = PublishedTestModel.Write(_store, "ranked", reranker: true) };

        var scores = (await Draw(ranked)).OfType<PictureDecoded>().Select(picture => picture.Score).ToArray();

        Assert.Equal(3, scores.Distinct().Count());
        Assert.All(scores, score => Assert.InRange(score!.Value, -1.0001, 1.0001));
        Assert.Equal(scores, (await Draw(ranked)).OfType<PictureDecoded>().Select(picture => picture.Score));
        Assert.All((await Draw(ranked with { Request = request.Request })).OfType<PictureDecoded>(), picture => Assert.Null(picture.Score));
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Draw(ranked with { Model = _model }));
        Assert.Equal(nameof(GenerationRequest.Keep), error.Parameter);
    }

    [Fact]
    public async Task Engine_PictureToComplete_KeepsItsTokensAndDrawsTheRest()
    {
        var kept = Kept(TopRows(2));
        var request = Request("a red circle", candidates: 2, seed: 7) with { Request = Request("a red circle", candidates: 2, seed: 7).Request with { Completion = new() { Picture = new byte[] { 1 } } } };
        using var ticket = _engine.Enter(request, kept);
        var reports = await ticket.Reports(Token).ToListAsync(Token);

        var tokens = reports.OfType<SamplingStarted>().Single().PictureTokens!;
        Assert.Equal(GridSize * GridSize, tokens.Count);
        Assert.All([0, 1], candidate => Assert.Equal(tokens.Take(2 * GridSize), Tokens(reports, candidate).Take(2 * GridSize)));
        Assert.NotEqual(Tokens(reports, 0), Tokens(reports, 1));

        // Another generator goes on with it, whatever its own encoder would say.
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(reports, candidate)[..GridSize])];
        using var rest = _engine.Enter(request with { Tokens = known, PictureTokens = tokens }, Kept(TopRows(2), seed: 99));
        Assert.Equal(Pictures(reports), Pictures(await rest.Reports(Token).ToListAsync(Token)));
    }

    [Fact]
    public async Task Engine_RequestOfAnotherCaller_DoesNotWaitForALargeOne()
    {
        await using var engine = Engine(new GeneratorOptions { Slots = 2 });
        using var large = engine.Enter(Request("a red circle", candidates: 40, caller: "one"));
        using var small = engine.Enter(Request("a green cross", caller: "two"));
        var firstEnded = await Task.WhenAny(large.Reports(Token).CountAsync(Token).AsTask(), small.Reports(Token).CountAsync(Token).AsTask());

        // Start, rows and picture of the small one.
        Assert.Equal(1 + GridSize + 1, await firstEnded);
    }

    [Fact]
    public async Task Engine_MorePicturesThanSlots_GivesTheSamePictures()
    {
        await using var narrow = Engine(new GeneratorOptions { Slots = 2 });
        var request = Request("a red circle", candidates: 5, seed: 9, partials: 2);
        var guided = request with { Request = request.Request with { Guidance = 1.5 } };

        Assert.Equal(Pictures(await Draw(request)), Pictures(await Draw(request, narrow)));
        Assert.Equal(Pictures(await Draw(guided)), Pictures(await Draw(guided, narrow)));
    }

    [Fact]
    public async Task Engine_ThousandTicketsThatLeaveAtAnyTime_LeakNoSlotAndNoTensor()
    {
        await using var engine = Engine(new GeneratorOptions { Slots = 4 });
        await Draw(Request("a"), engine);
        await Draw(Request("a"));
        var tensors = await LiveTensors();
        var random = new Random(3);
        await Parallel.ForAsync(0, 1000, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Token }, async (i, token) =>
        {
            using var ticket = engine.Enter(Request("a red circle", candidates: 1 + (i % 3), seed: (ulong)i, partials: i % 2));
            var reports = i % 8;
            await foreach (var report in ticket.Reports(token))
            {
                if (reports-- == 0)
                {
                    break;
                }
            }
        });

        var request = Request("a red circle", candidates: 4, seed: 5);
        Assert.Equal(Pictures(await Draw(request)), Pictures(await Draw(request, engine)));
        Assert.Equal(4, engine.Status.FreeSlots);
        Assert.Equal(tensors, await LiveTensors());

        Task<long> LiveTensors() => _device.Run(_ => DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount, Token);
    }

    [Fact]
    public async Task Engine_RequestThatMayNotWait_IsRefusedWhenItsTimeIsOver()
    {
        var clock = new FakeTimeProvider();
        var meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();
        await using var engine = new GenerationEngine(_store, _device, Options.Create(new GeneratorOptions()), new(meters), clock, NullLogger<GenerationEngine>.Instance);
        var outcomes = new List<string?>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, own) =>
        {
            if (instrument.Name == "dalle.generation.requests" && instrument.Meter.Scope == meters)
            {
                own.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => outcomes.Add((string?)tags[0].Value));
        listener.Start();
        using var busy = new ManualResetEventSlim();
        var held = _device.Run(_ => busy.Wait(Token), Token);
        using var ticket = engine.Enter(Request("a", maxWait: TimeSpan.FromSeconds(2)));
        clock.Advance(TimeSpan.FromSeconds(3));

        var error = await Assert.ThrowsAsync<OverloadedException>(() => ticket.Reports(Token).ToListAsync(Token).AsTask());

        Assert.Contains("2 seconds", error.Message, StringComparison.Ordinal);
        Assert.Equal(["rejected"], outcomes);
        busy.Set();
        await held;
    }

    [Fact]
    public async Task Engine_TracesARequest_WithinThePresentSpan()
    {
        using var own = new ActivitySource("Dalle.Workers.Tests");
        var ended = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source == own || source.Name == GenerationTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);

        using var request = own.StartActivity("request");
        await Draw(Request("a red circle", candidates: 2));

        var span = Assert.Single(ended, span => span.ParentSpanId == request!.SpanId);
        Assert.Equal(
            ["begun", "first token", "row 1", "row 2", "row 3", "row 4", "picture 1", "picture 2"], span.Events.Select(noted => noted.Name));
    }

    [Fact]
    public async Task Engine_WithPicturesToDecode_SamplesOthersBetweenThem()
    {
        var request = Request("a red circle", candidates: 4);
        var whole = await Draw(request);
        var known = request with { Tokens = [.. Enumerable.Range(0, 4).Select(candidate => Tokens(whole, candidate))] };
        var told = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == GenerationTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = told.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var own = new Activity("test").Start();

        // Both are there before the engine has its first turn.
        using var busy = new ManualResetEventSlim();
        var held = _device.Run(_ => busy.Wait(Token), Token);
        var (decoded, sampled) = (Draw(known), Draw(Request("a green cross")));
        busy.Set();
        await Task.WhenAll(held, decoded, sampled);

        var times = told.Where(span => span.TraceId == own.TraceId).SelectMany(span => span.Events).ToLookup(noted => noted.Name, noted => noted.Timestamp);
        Assert.InRange(times["row 1"].Single(), times["picture 1"].Min(), times["picture 4"].Single());
    }

    [Fact]
    public async Task Engine_IsNotReady_WhileItLoadsItsFirstModel()
    {
        var readiness = new GeneratorReadiness(_engine);
        using var busy = new ManualResetEventSlim();
        Assert.False(readiness.IsLoading);

        var held = _device.Run(_ => busy.Wait(Token), Token);
        var drawing = Draw(Request("a"));
        while (!readiness.IsLoading)
        {
            Assert.False(drawing.IsCompleted);
            await Task.Yield();
        }

        busy.Set();
        await held;
        await drawing;
        Assert.False(readiness.IsLoading);
    }

    [Fact]
    public async Task Engine_TicketThatLeaves_FreesTheEngine()
    {
        var ticket = _engine.Enter(Request("a red circle", candidates: 64));
        await ticket.Reports(Token).FirstAsync(Token);
        ticket.Dispose();

        Assert.Single((await Draw(Request("a red circle"))).OfType<PictureDecoded>());
    }

    [Fact]
    public async Task Engine_FullQueue_RefusesAndSaysWhenToTryAgain()
    {
        await using var engine = Engine(new GeneratorOptions { MaxWaiting = 1 });
        using var busy = new ManualResetEventSlim();
        var held = _device.Run(_ => busy.Wait(Token), Token);
        var tickets = new List<GenerationTicket>();

        // One is taken by the engine, at the latest when it is noticed; one waits.
        var error = Assert.Throws<OverloadedException>(() =>
        {
            for (var i = 0; i < 3; i++)
            {
                tickets.Add(engine.Enter(Request("a")));
            }
        });

        Assert.True(error.RetryAfter > TimeSpan.Zero);
        busy.Set();
        await held;
        Assert.All(await Task.WhenAll(tickets.Select(ticket => ticket.Reports(Token).OfType<PictureDecoded>().CountAsync(Token).AsTask())), count => Assert.Equal(1, count));
    }

    [Fact]
    public async Task Engine_PromptOfTooManyTokens_IsRefusedAlone()
    {
        using var other = _engine.Enter(Request("a red circle"));

        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Draw(Request(string.Join(' ', Enumerable.Range(0, 40)))));

        Assert.Equal("Prompt", error.Parameter);
        Assert.Contains("takes 16", error.Message, StringComparison.Ordinal);
        Assert.Single(await other.Reports(Token).OfType<PictureDecoded>().ToListAsync(Token));
    }

    [Fact]
    public async Task Engine_ModelWhoseFilesChanged_IsRefused()
    {
        await File.AppendAllTextAsync(_store.PathOf($"{_model.Path}/{ModelFolder.Prior}"), "x", Token);

        var error = await Assert.ThrowsAsync<GenerationFailedException>(() => Draw(Request("a")));

        Assert.Contains(ModelFolder.Prior, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 1L << 40)]
    [InlineData(8, 1)]
    public async Task Engine_KeepsNoMoreModelsThanAllowed_AndDrawsWithEach(int models, long bytes)
    {
        await using var engine = Engine(new GeneratorOptions { LoadedModels = models, ModelBytes = bytes });
        var other = PublishedTestModel.Write(_store, "other", seed: 2);
        var request = Request("a red circle");

        var first = await Draw(request, engine);
        var second = await Draw(request with { Model = other }, engine);
        Assert.Equal([ModelCache.Key(other)], engine.Status.Models);
        var again = await Draw(request, engine);

        Assert.NotEqual(Pictures(first), Pictures(second));
        Assert.Equal(Pictures(first), Pictures(again));
    }

    [Fact]
    public async Task Engine_RequestThatDoesNotSay_IsSampledAsTheModelsCardSays()
    {
        var likeliest = PublishedTestModel.Write(_store, "likeliest", preset: Preset.Test with { Sampling = new SamplingSettings(TopK: 1) });

        var first = await Draw(Request("a red circle", seed: 1) with { Model = likeliest });
        var second = await Draw(Request("a red circle", seed: 2) with { Model = likeliest });

        Assert.Equal(Tokens(first, 0), Tokens(second, 0));
        Assert.NotEqual(Tokens(await Draw(Request("a red circle", seed: 1)), 0), Tokens(await Draw(Request("a red circle", seed: 2)), 0));
    }

    [Fact]
    public async Task Engine_Stopping_EndsWhatWaits()
    {
        var engine = Engine(new GeneratorOptions());
        using var busy = new ManualResetEventSlim();
        var held = _device.Run(_ => busy.Wait(Token), Token);
        using var ticket = engine.Enter(Request("a"));
        var stopped = engine.DisposeAsync().AsTask();
        busy.Set();
        await Task.WhenAll(stopped, held);

        await Assert.ThrowsAsync<SiloUnavailableException>(() => ticket.Reports(Token).ToListAsync(Token).AsTask());
        Assert.Throws<ObjectDisposedException>(() => engine.Enter(Request("a")));
    }

    /// <summary>A picture of random colours of which the cells are kept that the rule tells.</summary>
    private static KeptPicture Kept(Func<int, int, bool> isKept, int seed = 5)
    {
        var random = new Random(seed);
        var colours = new byte[32 * 32 * 3];
        random.NextBytes(colours);
        var mask = PictureMask.Encode(32, 32, (x, y) => !isKept(x / 8, y / 8));
        return KeptPicture.Read(new() { Picture = PngEncoder.Encode(new(32, 32, colours)), Mask = mask }, imageSize: 32, GridSize);
    }

    private static Func<int, int, bool> TopRows(int count) => (_, row) => row < count;

    private static List<string> Pictures(IEnumerable<GeneratorReport> reports) =>
        [.. reports.OfType<PictureDecoded>().Select(picture => Convert.ToHexString(picture.Png.Span))];

    private static int[] Tokens(IEnumerable<GeneratorReport> reports, int candidate) =>
        [.. reports.OfType<RowsSampled>().SelectMany(row => row.Tokens[candidate])];

    private static GenerationInstruments NewInstruments() =>
        new(new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>());

    private GenerationEngine Engine(GeneratorOptions options) =>
        new(_store, _device, Options.Create(options), NewInstruments(), TimeProvider.System, NullLogger<GenerationEngine>.Instance);

    private SampleRequest Request(string prompt, int candidates = 1, ulong seed = 0, int partials = 0, string? caller = null, TimeSpan? maxWait = null) => new(
        new GenerationRequest
        {
            Model = "m", Prompt = prompt, Candidates = candidates, Seed = seed, PartialPictures = partials, Caller = caller, MaxWait = maxWait,
        },
        _model,
        Enumerable.Repeat(Array.Empty<int>(), candidates).ToArray());

    private async Task<List<GeneratorReport>> Draw(SampleRequest request, GenerationEngine? engine = null)
    {
        using var ticket = (engine ?? _engine).Enter(request);
        return await ticket.Reports(Token).ToListAsync(Token);
    }
}
