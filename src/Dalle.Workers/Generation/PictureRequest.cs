using System.Threading.Channels;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;

namespace Dalle.Workers.Generation;

/// <summary>A request on its way through the engine, and the events that come back.</summary>
/// <param name="request">What is asked for, valid.</param>
/// <param name="model">The model it is asked of.</param>
/// <param name="given">Tokens sampled before, by candidate; empty to begin.</param>
/// <param name="began">When it came, by the engine's clock.</param>
/// <param name="cancellationToken">Takes the request out.</param>
internal sealed class PictureRequest(
    GenerationRequest request, ModelManifest model, IReadOnlyList<IReadOnlyList<int>> given, long began, CancellationToken cancellationToken)
{
    // As many events as the request has rows and pictures: bounded by what was asked for.
    private readonly Channel<GenerationEvent> _events = Channel.CreateUnbounded<GenerationEvent>(new() { SingleReader = true, SingleWriter = true });

    public GenerationRequest Request => request;

    public ModelManifest Model => model;

    public long Began => began;

    public bool IsCancelled => cancellationToken.IsCancellationRequested;

    /// <summary>Its events in order; fails as the request fails.</summary>
    public ChannelReader<GenerationEvent> Events => _events.Reader;

    /// <summary>Tokens given for a candidate.</summary>
    public IReadOnlyList<int> Given(int candidate) => given.Count == 0 ? [] : given[candidate];

    public void Report(GenerationEvent entry) => _events.Writer.TryWrite(entry);

    public void Complete() => _events.Writer.TryComplete();

    public void Fail(Exception error) => _events.Writer.TryComplete(error);
}
