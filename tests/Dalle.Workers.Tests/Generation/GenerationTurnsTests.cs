using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Tests.Shared;
using Dalle.Workers.Generation;
using Dalle.Workers.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using TorchSharp;

namespace Dalle.Workers.Tests.Generation;

/// <summary>Who has the engine, the device and the memory, when, and what is seen of it.</summary>
public sealed class GenerationTurnsTests : EngineTests
{
    [Fact]
    public async Task Engine_RequestOfAnotherCaller_DoesNotWaitForALargeOne()
    {
        await using var engine = NewEngine(new GeneratorOptions { Slots = 2 });
        using var large = engine.Enter(Request("a red circle", candidates: 40, caller: "one"));
        using var small = engine.Enter(Request("a green cross", caller: "two"));
        var firstEnded = await Task.WhenAny(large.Reports(Token).CountAsync(Token).AsTask(), small.Reports(Token).CountAsync(Token).AsTask());

        // Start, rows and picture of the small one.
        Assert.Equal(1 + GridSize + 1, await firstEnded);
    }

    [Fact]
    public async Task Engine_ThousandTicketsThatLeaveAtAnyTime_LeakNoSlotAndNoTensor()
    {
        await using var engine = NewEngine(new GeneratorOptions { Slots = 4 });
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

        Task<long> LiveTensors() => Device.Run(_ => DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount, Token);
    }

    [Fact]
    public async Task Engine_RequestThatMayNotWait_IsRefusedWhenItsTimeIsOver()
    {
        var clock = new FakeTimeProvider();
        var meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();
        await using var engine = new GenerationEngine(Store, Device, Options.Create(new GeneratorOptions()), new(meters), clock, NullLogger<GenerationEngine>.Instance);
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
        var held = Device.Run(_ => busy.Wait(Token), Token);
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
        var ended = new ConcurrentQueue<Activity>();
        using var listener = Listen(ended);
        using var request = new Activity("request").Start();
        await Draw(Request("a red circle", candidates: 2));

        var span = Assert.Single(ended, span => span.ParentSpanId == request.SpanId);
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
        using var listener = Listen(told);
        using var own = new Activity("test").Start();

        // Both are there before the engine has its first turn.
        using var busy = new ManualResetEventSlim();
        var held = Device.Run(_ => busy.Wait(Token), Token);
        var (decoded, sampled) = (Draw(known), Draw(Request("a green cross")));
        busy.Set();
        await Task.WhenAll(held, decoded, sampled);

        var times = told.Where(span => span.TraceId == own.TraceId).SelectMany(span => span.Events).ToLookup(noted => noted.Name, noted => noted.Timestamp);
        Assert.InRange(times["row 1"].Single(), times["picture 1"].Min(), times["picture 4"].Single());
    }

    [Fact]
    public async Task Engine_GivesTheDeviceToOthers_BetweenItsTurns()
    {
        await using var engine = NewEngine(new GeneratorOptions { Slots = 2, TurnLength = TimeSpan.FromMilliseconds(1) });
        await Draw(Request("a"), engine);
        using var busy = new ManualResetEventSlim();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var held = Device.Run(
            _ =>
            {
                begun.SetResult();
                busy.Wait(Token);
            },
            Token);
        await begun.Task;
        var drawing = Draw(Request("a red circle", candidates: 64), engine);
        while (Device.Waiting == 0)
        {
            await Task.Yield();
        }

        // Behind the engine's turn, and before the others.
        var other = Device.Run(_ => engine.Status.Running, Token);
        busy.Set();

        Assert.Equal(1, await other);
        await Task.WhenAll(held, drawing);
    }

    [Fact]
    public async Task Engine_IsNotReady_WhileItLoadsItsFirstModel()
    {
        var readiness = new GeneratorReadiness(Engine);
        using var busy = new ManualResetEventSlim();
        Assert.False(readiness.IsLoading);

        var held = Device.Run(_ => busy.Wait(Token), Token);
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
        var ticket = Engine.Enter(Request("a red circle", candidates: 64));
        await ticket.Reports(Token).FirstAsync(Token);
        ticket.Dispose();

        Assert.Single((await Draw(Request("a red circle"))).OfType<PictureDecoded>());
    }

    [Fact]
    public async Task Engine_FullQueue_RefusesAndSaysWhenToTryAgain()
    {
        await using var engine = NewEngine(new GeneratorOptions { MaxWaiting = 1 });
        using var busy = new ManualResetEventSlim();
        var held = Device.Run(_ => busy.Wait(Token), Token);
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
    public async Task Engine_ModelWhoseFilesChanged_IsRefused()
    {
        await File.AppendAllTextAsync(Store.PathOf($"{Manifest.Path}/{ModelFolder.Prior}"), "x", Token);

        var error = await Assert.ThrowsAsync<GenerationFailedException>(() => Draw(Request("a")));

        Assert.Contains(ModelFolder.Prior, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 1L << 40)]
    [InlineData(8, 1)]
    public async Task Engine_KeepsNoMoreModelsThanAllowed_AndDrawsWithEach(int models, long bytes)
    {
        await using var engine = NewEngine(new GeneratorOptions { LoadedModels = models, ModelBytes = bytes });
        var other = PublishedTestModel.Write(Store, "other", seed: 2);
        var request = Request("a red circle");

        var first = await Draw(request, engine);
        var second = await Draw(request with { Model = other }, engine);
        Assert.Equal([ModelCache.Key(other)], engine.Status.Models);
        var again = await Draw(request, engine);

        Assert.NotEqual(Pictures(first), Pictures(second));
        Assert.Equal(Pictures(first), Pictures(again));
    }

    [Fact]
    public async Task Engine_Stopping_EndsWhatWaits()
    {
        var engine = NewEngine(new GeneratorOptions());
        using var busy = new ManualResetEventSlim();
        var held = Device.Run(_ => busy.Wait(Token), Token);
        using var ticket = engine.Enter(Request("a"));
        var stopped = engine.DisposeAsync().AsTask();
        busy.Set();
        await Task.WhenAll(stopped, held);

        await Assert.ThrowsAsync<SiloUnavailableException>(() => ticket.Reports(Token).ToListAsync(Token).AsTask());
        Assert.Throws<ObjectDisposedException>(() => engine.Enter(Request("a")));
    }

    /// <summary>Collects the spans of all engines.</summary>
    private static ActivityListener Listen(ConcurrentQueue<Activity> ended)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == GenerationTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
