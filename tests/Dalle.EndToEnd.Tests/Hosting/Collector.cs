using System.Diagnostics;
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
    public Task Has(string path, int field, params IReadOnlyList<string> names)
    {
        // A field of text is its number with the type, 2, in the lowest bits; the length; the text.
        var wanted = names.ToDictionary(name => name, name => (byte[])[(byte)((field << 3) | 2), (byte)name.Length, .. Encoding.UTF8.GetBytes(name)]);
        return Has(path, wanted.Keys, (body, name) => body.AsSpan().IndexOf(wanted[name]) >= 0);
    }

    /// <summary>Waits until spans of these names have come that belong to a trace.</summary>
    /// <param name="trace">The trace's id.</param>
    /// <param name="names">The names.</param>
    public Task HasSpans(ActivityTraceId trace, params IReadOnlyList<string> names)
    {
        var id = Convert.FromHexString(trace.ToHexString());
        return Has(Traces, names, (body, name) => SpansOf(body).Any(span =>
            span.Any(field => field.Number == 1 && field.Value.Span.SequenceEqual(id)) && span.Any(field => field.Number == 5 && Encoding.UTF8.GetString(field.Value.Span) == name)));
    }

    private async Task Has(string path, IEnumerable<string> names, Func<byte[], string, bool> has)
    {
        var wanted = names.ToHashSet();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Deadline);
        while (true)
        {
            Task next;
            lock (_gate)
            {
                foreach (var (_, body) in _taken.Where(taken => taken.Path == path))
                {
                    wanted.RemoveWhere(name => has(body, name));
                }

                next = _next.Task;
            }

            if (wanted.Count == 0)
            {
                return;
            }

            await next.WaitAsync(deadline.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
            Assert.False(deadline.IsCancellationRequested, $"Nothing has come to {path} of {string.Join(", ", wanted)}.");
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>The fields of every span: a request holds resources (1), they scopes (2), and those spans (2).</summary>
    private static IEnumerable<IReadOnlyList<(int Number, ReadOnlyMemory<byte> Value)>> SpansOf(ReadOnlyMemory<byte> request) =>
        Fields(request).Where(resource => resource.Number == 1)
            .SelectMany(resource => Fields(resource.Value)).Where(scope => scope.Number == 2)
            .SelectMany(scope => Fields(scope.Value)).Where(span => span.Number == 2)
            .Select(span => Fields(span.Value));

    /// <summary>The fields of a protobuf message that have a length: texts, bytes and messages.</summary>
    private static List<(int Number, ReadOnlyMemory<byte> Value)> Fields(ReadOnlyMemory<byte> message)
    {
        var fields = new List<(int, ReadOnlyMemory<byte>)>();
        for (var at = 0; at < message.Length;)
        {
            var tag = Number(message.Span, ref at);
            switch (tag & 7)
            {
                case 0:
                    Number(message.Span, ref at);
                    break;
                case 1:
                    at += sizeof(ulong);
                    break;
                case 2:
                    var length = (int)Number(message.Span, ref at);
                    fields.Add(((int)(tag >> 3), message.Slice(at, length)));
                    at += length;
                    break;
                case 5:
                    at += sizeof(uint);
                    break;
                default:
                    throw new InvalidDataException($"Expected a protobuf field of type 0, 1, 2 or 5, got {tag & 7}.");
            }
        }

        return fields;
    }

    /// <summary>Seven bits a byte, the lowest first; the eighth says that another byte follows.</summary>
    private static ulong Number(ReadOnlySpan<byte> bytes, ref int at)
    {
        var number = 0ul;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[at++];
            number |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return number;
            }
        }
    }

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
