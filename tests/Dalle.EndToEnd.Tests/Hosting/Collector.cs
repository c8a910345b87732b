using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>Takes what OpenTelemetry's exporters send over HTTP, and keeps it.</summary>
internal sealed class Collector : IAsyncDisposable
{
    /// <summary>The path that metrics are sent to.</summary>
    public const string Metrics = "/v1/metrics";

    /// <summary>The path that spans are sent to.</summary>
    public const string Traces = "/v1/traces";

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private readonly WebApplication _app;
    private readonly Lock _gate = new();
    private readonly List<(string Path, byte[] Body)> _taken = [];
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Collector(WebApplication app)
    {
        _app = app;
        app.MapPost(Metrics, Take);
        app.MapPost(Traces, Take);
    }

    /// <summary>What a silo that sends here is told by the environment.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables =>
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", _app.Urls.First()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_METRIC_EXPORT_INTERVAL", "500"), ("OTEL_BSP_SCHEDULE_DELAY", "500"),
    ];

    /// <summary>Begins to listen on a free port of this machine.</summary>
    public static async Task<Collector> Start()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var collector = new Collector(builder.Build());
        await collector._app.StartAsync(TestContext.Current.CancellationToken);
        return collector;
    }

    /// <summary>Waits until everything of these names has come.</summary>
    /// <param name="path">Where to.</param>
    /// <param name="field">Number of the field that the message has its name in: 1 of a meter or a metric, 5 of a span.</param>
    /// <param name="names">The names.</param>
    public async Task Has(string path, int field, params IReadOnlyList<string> names)
    {
        // A field of text is its number with the type, 2, in the lowest bits; the length; the text.
        var wanted = names.ToDictionary(name => name, name => (byte[])[(byte)((field << 3) | 2), (byte)name.Length, .. Encoding.UTF8.GetBytes(name)]);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Deadline);
        while (true)
        {
            Task next;
            lock (_gate)
            {
                foreach (var (_, body) in _taken.Where(taken => taken.Path == path))
                {
                    foreach (var (name, _) in wanted.Where(name => body.AsSpan().IndexOf(name.Value) >= 0).ToArray())
                    {
                        wanted.Remove(name);
                    }
                }

                next = _next.Task;
            }

            if (wanted.Count == 0)
            {
                return;
            }

            await next.WaitAsync(deadline.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
            Assert.False(deadline.IsCancellationRequested, $"Nothing has come to {path} of {string.Join(", ", wanted.Keys)}.");
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task Take(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, request.HttpContext.RequestAborted);
        lock (_gate)
        {
            _taken.Add((request.Path, body.ToArray()));
            _next.SetResult();
            _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
