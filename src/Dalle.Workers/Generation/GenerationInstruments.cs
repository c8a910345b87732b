using System.Diagnostics.Metrics;

namespace Dalle.Workers.Generation;

/// <summary>Figures of generation, for OpenTelemetry; those of its conventions for generative models under their names.</summary>
public sealed class GenerationInstruments
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Dalle.Generation";

    // Seconds, from a token of a small model to a picture of a large one that had to wait.
    private static readonly InstrumentAdvice<double> Seconds =
        new() { HistogramBucketBoundaries = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100] };

    private readonly Meter _meter;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _perToken;
    private readonly Histogram<double> _request;
    private readonly Histogram<double> _queued;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _prompts;
    private readonly Counter<long> _ended;

    public GenerationInstruments(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _firstToken = _meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "From a request's arrival at the generator to the first token of its first picture.", tags: null, Seconds);
        _perToken = _meter.CreateHistogram("gen_ai.server.time_per_output_token", "s", "From one token of a picture to its next.", tags: null, Seconds);
        _request = _meter.CreateHistogram("gen_ai.server.request.duration", "s", "From a request's arrival at the generator to its last picture.", tags: null, Seconds);
        _queued = _meter.CreateHistogram("dalle.generation.queue.duration", "s", "From a request's arrival at the generator to its first slot.", tags: null, Seconds);
        _tokens = _meter.CreateCounter<long>("dalle.generation.tokens", "{token}", "Image tokens sampled.");
        _prompts = _meter.CreateCounter<long>("dalle.generation.prompts", "{prompt}", "Prompts, and whether they had to be read or were in the cache.");
        _ended = _meter.CreateCounter<long>("dalle.generation.requests", "{request}", "Requests that ended, and how: completed, aborted, rejected or failed.");
    }

    /// <summary>Adds what can be asked for at any time.</summary>
    internal void Watch(Func<int> waiting, Func<int> running, Func<int> slotsUsed, Func<int> slots, Func<int> loading)
    {
        _meter.CreateObservableUpDownCounter("dalle.generation.requests.waiting", waiting, "{request}", "Requests with pictures that wait for a slot.");
        _meter.CreateObservableUpDownCounter("dalle.generation.requests.running", running, "{request}", "Requests being sampled.");
        _meter.CreateObservableUpDownCounter("dalle.generation.slots.used", slotsUsed, "{slot}", "Slots with a picture.");
        _meter.CreateObservableUpDownCounter("dalle.generation.slots.limit", slots, "{slot}", "Slots of the models in memory.");
        _meter.CreateObservableUpDownCounter("dalle.generation.models.loading", loading, "{model}", "Models being loaded.");
    }

    internal void OnBegun(TimeSpan queued) => _queued.Record(queued.TotalSeconds);

    internal void OnFirstToken(TimeSpan sinceArrival) => _firstToken.Record(sinceArrival.TotalSeconds);

    internal void OnStep(string model, int tokens, TimeSpan took)
    {
        _perToken.Record(took.TotalSeconds, Model(model));
        _tokens.Add(tokens, Model(model));
    }

    internal void OnPrompts(string model, long hits, long misses)
    {
        _prompts.Add(hits, Model(model), new("cache", "hit"));
        _prompts.Add(misses, Model(model), new("cache", "miss"));
    }

    internal void OnCompleted(TimeSpan sinceArrival)
    {
        _request.Record(sinceArrival.TotalSeconds);
        OnEnded("completed");
    }

    internal void OnAborted() => OnEnded("aborted");

    /// <summary>A request was refused because too many wait, or it waited for as long as it may.</summary>
    public void OnRejected() => OnEnded("rejected");

    internal void OnFailed(int requests) => OnEnded("failed", requests);

    private void OnEnded(string outcome, int requests = 1) => _ended.Add(requests, new KeyValuePair<string, object?>("outcome", outcome));

    private static KeyValuePair<string, object?> Model(string name) => new("model", name);
}
