using System.Diagnostics;

namespace Dalle.Collectives.Updates;

/// <summary>Spans of an update, for OpenTelemetry: where its time goes. Nothing is measured while nobody listens.</summary>
public static class UpdateTracing
{
    /// <summary>Name of the source of spans.</summary>
    public const string SourceName = "Dalle.Training";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a span within the present one, if there is any; it ends when it is disposed of.</summary>
    /// <param name="phase">update, compute, reduce, compress, exchange, vote, commit, gather.</param>
    public static Activity? Begin(string phase) => Source.StartActivity(phase);
}
