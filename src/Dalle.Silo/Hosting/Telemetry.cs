using Dalle.Collectives.Updates;
using Dalle.Contracts.Keys;
using Dalle.Workers.Generation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Orleans.Diagnostics;

namespace Dalle.Silo.Hosting;

/// <summary>Metrics, for Prometheus to fetch and in OpenTelemetry's protocol; traces in the latter.</summary>
internal static class Telemetry
{
    /// <summary>OpenTelemetry's own setting: where they go to.</summary>
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>OpenTelemetry's own setting: what this program is called.</summary>
    private const string ServiceName = "OTEL_SERVICE_NAME";

    /// <summary>What is measured: this system, Orleans, the HTTP server, .NET.</summary>
    private static readonly string[] Meters = ["Dalle.*", "Microsoft.Orleans", "Microsoft.AspNetCore.*", "System.Runtime"];

    /// <summary>Whether metrics and traces are sent.</summary>
    public static bool IsSent(IHostApplicationBuilder builder) => builder.Configuration[Endpoint] is not null;

    /// <summary>Keeps metrics for who fetches them, and sends them and traces if the environment says where to; else nothing is traced.</summary>
    public static void AddDalleTelemetry(this IHostApplicationBuilder builder)
    {
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(builder.Configuration[ServiceName] ?? "dalle"))
            .WithMetrics(metrics => metrics.AddMeter(Meters).AddPrometheusExporter());
        if (IsSent(builder))
        {
            telemetry
                .WithTracing(traces => traces
                    .AddAspNetCoreInstrumentation(http => http.Filter = context => !IsProbe(context.Request.Path))
                    .AddSource(ActivitySources.ApplicationGrainActivitySourceName, UpdateTracing.SourceName, GenerationTracing.SourceName)
                    .AddProcessor<QuietCalls>())
                .UseOtlpExporter();
        }
    }

    private static bool IsProbe(Microsoft.AspNetCore.Http.PathString path) => path.StartsWithSegments("/health") || path.StartsWithSegments("/metrics");

    /// <summary>Every silo waits for changes of the keys all the time: spans of that would tell nothing.</summary>
    private sealed class QuietCalls : BaseProcessor<System.Diagnostics.Activity>
    {
        private const string Wait = $"{nameof(IApiKeysGrain)}/{nameof(IApiKeysGrain.Read)}";

        public override void OnEnd(System.Diagnostics.Activity data)
        {
            if (data.DisplayName == Wait)
            {
                data.ActivityTraceFlags &= ~System.Diagnostics.ActivityTraceFlags.Recorded;
            }
        }
    }
}
