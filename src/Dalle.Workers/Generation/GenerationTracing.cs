using System.Diagnostics;
using Dalle.Contracts.Generation;

namespace Dalle.Workers.Generation;

/// <summary>Spans of requests at a generator, for OpenTelemetry: when each was begun, had its first token, its rows and its pictures. Nothing is noted while nobody listens.</summary>
public static class GenerationTracing
{
    /// <summary>Name of the source of spans.</summary>
    public const string SourceName = "Dalle.Generation";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a request's span within the present one, which stays the present one.</summary>
    internal static Activity? Begin(GenerationRequest request)
    {
        var present = Activity.Current;
        var span = Source.StartActivity("generate", ActivityKind.Internal, present?.Context ?? default, [new("gen_ai.request.model", request.Model), new("dalle.candidates", request.Candidates)]);
        Activity.Current = present;
        return span;
    }
}
