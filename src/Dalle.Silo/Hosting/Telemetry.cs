using Dalle.Collectives.Updates;
using Dalle.Workers.Generation;
using Dalle.Workers.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;

namespace Dalle.Silo.Hosting;

/// <summary>Metrics and traces, in OpenTelemetry's protocol.</summary>
internal static class Telemetry
{
    /// <summary>OpenTelemetry's own setting: where they go to.</summary>
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Sends them if the environment says where to; else nothing is measured.</summary>
    public static void AddDalleTelemetry(this IHostApplicationBuilder builder)
    {
        if (builder.Configuration[Endpoint] is not null)
        {
            builder.Services.AddOpenTelemetry()
                .WithMetrics(metrics => metrics.AddMeter(TrainingInstruments.MeterName, GenerationInstruments.MeterName, "Microsoft.Orleans"))
                .WithTracing(traces => traces.AddSource(UpdateTracing.SourceName))
                .UseOtlpExporter();
        }
    }
}
