namespace Dalle.Workers.Generation;

/// <summary>Whether a silo can draw, or is still reading the first model that it was asked for.</summary>
public sealed class GeneratorReadiness
{
    private readonly GenerationEngine _engine;

    internal GeneratorReadiness(GenerationEngine engine) => _engine = engine;

    /// <summary>Whether a model is being loaded and none is in memory: all requests wait for it.</summary>
    public bool IsLoading => _engine.Status is { Loading: > 0, Models.Count: 0 };
}
