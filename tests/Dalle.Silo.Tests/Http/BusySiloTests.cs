using System.Net;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Workers.Devices;
using Dalle.Workers.Generation;
using Microsoft.Extensions.DependencyInjection;

namespace Dalle.Silo.Tests.Http;

/// <summary>What clients see of a silo whose device is taken: nothing can be drawn until the test lets it.</summary>
public sealed class BusySiloTests
{
    private const string Path = "/v1/images/generations";

    [Fact(Timeout = 120_000)]
    public async Task FullQueue_Is429_AndSaysWhenToTryAgain()
    {
        await using var busy = await BusySilo.Start(maxWaiting: 1);

        // One may be on its way to the device, one may wait: of three, one is refused.
        var requests = Enumerable.Range(0, 3).Select(_ => busy.Silo.Post(Path, """{ "model": "circles", "prompt": "x" }""")).ToList();
        var refused = await Task.WhenAny(requests).WaitAsync(TestContext.Current.CancellationToken);
        var error = await HttpSilo.ReadError(await refused, HttpStatusCode.TooManyRequests);
        busy.Release();
        requests.Remove(refused);
        var served = await Task.WhenAll(requests);

        Assert.Equal(("rate_limit_error", "queue_full"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.True((await refused).Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        Assert.Contains(served, response => response.StatusCode == HttpStatusCode.OK);
    }

    [Fact(Timeout = 120_000)]
    public async Task TooManyStreams_Are429_AndTheNextIsServedOnceOneHasEnded()
    {
        await using var busy = await BusySilo.Start(maxStreams: 1);

        using var first = await busy.Silo.Open(HttpMethod.Post, Path, """{ "model": "circles", "prompt": "x", "stream": true }""");
        using var second = await busy.Silo.Post(Path, """{ "model": "circles", "prompt": "x" }""");
        var error = await HttpSilo.ReadError(second, HttpStatusCode.TooManyRequests);
        using var others = await busy.Silo.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);
        busy.Release();
        var events = await HttpSilo.Events(first).ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal("too_many_streams", error.GetProperty("code").GetString());
        Assert.NotNull(second.Headers.RetryAfter);
        Assert.Equal(HttpStatusCode.OK, others.StatusCode);
        Assert.Single(events);
    }

    [Fact(Timeout = 120_000)]
    public async Task TooManyOpenRequestsOfOneCaller_Are429_WhateverTheyAre_HealthChecksExcepted()
    {
        await using var busy = await BusySilo.Start(concurrentRequests: 1);

        using var first = await busy.Silo.Open(HttpMethod.Post, Path, """{ "model": "circles", "prompt": "x", "stream": true }""");
        using var second = await busy.Silo.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);
        using var health = await busy.Silo.Http.GetAsync("/health/live", TestContext.Current.CancellationToken);
        var error = await HttpSilo.ReadError(second, HttpStatusCode.TooManyRequests);

        Assert.Equal(
            ("rate_limit_error", "concurrency_limit_exceeded", "This address has as many requests open as it may, 1; wait for one to end."),
            (error.GetProperty("type").GetString(), error.GetProperty("code").GetString(), error.GetProperty("message").GetString()));
        Assert.Equal(("1", "1000"), (second.Headers.GetValues("retry-after").Single(), second.Headers.GetValues("retry-after-ms").Single()));
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
    }

    [Fact(Timeout = 120_000)]
    public async Task SiloThatLoadsItsFirstModel_IsNotReady_UntilItHasIt()
    {
        await using var busy = await BusySilo.Start();
        Assert.Equal(HttpStatusCode.OK, await Ready());

        var drawing = busy.Silo.Post(Path, """{ "model": "circles", "prompt": "x" }""");
        while (await Ready() != HttpStatusCode.ServiceUnavailable)
        {
            Assert.False(drawing.IsCompleted);
        }

        busy.Release();
        Assert.Equal(HttpStatusCode.OK, (await drawing).StatusCode);
        Assert.Equal(HttpStatusCode.OK, await Ready());

        async Task<HttpStatusCode> Ready()
        {
            using var health = await busy.Silo.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
            return health.StatusCode;
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task SilentStream_CarriesComments()
    {
        await using var busy = await BusySilo.Start();

        using var response = await busy.Silo.Open(HttpMethod.Post, Path, """{ "model": "circles", "prompt": "x", "stream": true }""");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        Assert.Equal(": waiting", await lines.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal("", await lines.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal(": waiting", await lines.ReadLineAsync(TestContext.Current.CancellationToken));
    }

    [Fact(Timeout = 120_000)]
    public async Task ErrorOnTheWay_IsTheStreamsLastEvent()
    {
        await using var busy = await BusySilo.Start();
        var prompt = string.Join(' ', Enumerable.Repeat("hippopotamus", 60));

        // The stream has begun, with a comment, before the prompt is looked at.
        using var response = await busy.Silo.Open(HttpMethod.Post, Path, $$"""{ "model": "circles", "prompt": "{{prompt}}", "stream": true }""");
        busy.Release();
        var item = Assert.Single(await HttpSilo.Events(response).ToListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(("error", "error"), (item.EventType, item.Data.GetProperty("type").GetString()));
        Assert.Equal("prompt", item.Data.GetProperty("error").GetProperty("param").GetString());
    }

    [Fact(Timeout = 120_000)]
    public async Task ClientThatLeaves_CancelsItsSession()
    {
        await using var busy = await BusySilo.Start();
        var request = new GenerationRequest { Model = HttpSilo.Model, Prompt = "x", Seed = 3 };

        var response = await busy.Silo.Open(HttpMethod.Post, Path, """{ "model": "circles", "prompt": "x", "seed": 3, "stream": true }""");
        var session = busy.Silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IGenerationSessionGrain>(response.Headers.GetValues("x-request-id").Single());
        var other = session.Generate(request, 0, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.Equal(GenerationPhase.Running, (await session.GetStatus(TestContext.Current.CancellationToken)).Phase);
        response.Dispose();

        // Another reader keeps the session from ending for want of one.
        var ended = await Assert.ThrowsAsync<GenerationFailedException>(() => other);
        Assert.Contains("was cancelled", ended.Message, StringComparison.Ordinal);
        Assert.Equal(GenerationPhase.Cancelled, (await session.GetStatus(TestContext.Current.CancellationToken)).Phase);
    }

    [Fact(Timeout = 120_000)]
    public async Task ClientThatLeaves_WithoutAStream_CancelsItsSessionToo()
    {
        await using var busy = await BusySilo.Start();
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var body = new StringContent("""{ "model": "circles", "prompt": "x" }""", null, "application/json");

        var unanswered = busy.Silo.Http.PostAsync(Path, body, leaving.Token);
        await busy.Sessions.Begun.WaitAsync(TestContext.Current.CancellationToken);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => unanswered);

        Assert.StartsWith("req_", await busy.Sessions.Cancelled.WaitAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task SiloThatStops_EndsItsStreams()
    {
        await using var busy = await BusySilo.Start();
        using var response = await busy.Silo.Open(HttpMethod.Post, Path, """{ "model": "circles", "prompt": "x", "stream": true }""");

        var stopping = busy.Silo.Silo.Stop();
        var events = await HttpSilo.Events(response).ToListAsync(TestContext.Current.CancellationToken);
        busy.Release();
        await stopping;

        Assert.Empty(events);
    }

    /// <summary>Takes the device until it is released.</summary>
    private sealed class BusySilo : IAsyncDisposable
    {
        private readonly ManualResetEventSlim _gate = new();
        private Task _taken = Task.CompletedTask;

        private BusySilo(HttpSilo silo, SessionCalls sessions) => (Silo, Sessions) = (silo, sessions);

        public HttpSilo Silo { get; }

        public SessionCalls Sessions { get; }

        public static async Task<BusySilo> Start(int maxWaiting = 128, int maxStreams = 256, int concurrentRequests = 256)
        {
            var sessions = new SessionCalls();
            var silo = new HttpSilo
            {
                Configure = options => (options.Http.MaxStreams, options.Http.ConcurrentRequests, options.Http.Heartbeat) = (maxStreams, concurrentRequests, TimeSpan.FromMilliseconds(50)),
                ConfigureServices = services => services
                    .Configure<GeneratorOptions>(generator => generator.MaxWaiting = maxWaiting)
                    .AddSingleton<IIncomingGrainCallFilter>(sessions),
            };
            await silo.InitializeAsync();
            var busy = new BusySilo(silo, sessions);
            busy._taken = silo.Services.GetRequiredService<DeviceThread>().Run(_ => busy._gate.Wait(), TestContext.Current.CancellationToken);
            return busy;
        }

        public void Release() => _gate.Set();

        public async ValueTask DisposeAsync()
        {
            _gate.Set();
            await _taken;
            await Silo.DisposeAsync();
            _gate.Dispose();
        }
    }

    /// <summary>Sees the calls that sessions and generators get.</summary>
    private sealed class SessionCalls : IIncomingGrainCallFilter
    {
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<string> _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>A generator was asked to draw.</summary>
        public Task Begun => _begun.Task;

        /// <summary>The first session that was cancelled, once it is.</summary>
        public Task<string> Cancelled => _cancelled.Task;

        public async Task Invoke(IIncomingGrainCallContext context)
        {
            if (context.TargetContext.GrainInstance is IGeneratorGrain && context.MethodName != nameof(IGeneratorGrain.GetLoad))
            {
                _begun.TrySetResult();
            }

            await context.Invoke();
            if (context.Grain is IGenerationSessionGrain && context.MethodName == nameof(IGenerationSessionGrain.Cancel))
            {
                _cancelled.TrySetResult(context.TargetId.Key.ToString()!);
            }
        }
    }
}
