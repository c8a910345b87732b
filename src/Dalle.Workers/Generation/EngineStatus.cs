namespace Dalle.Workers.Generation;

/// <summary>What an engine is at.</summary>
/// <param name="Running">Requests being sampled.</param>
/// <param name="FreeSlots">Slots that are free, of all models in memory.</param>
/// <param name="Slots">Slots of all models in memory.</param>
/// <param name="Loading">Models being loaded.</param>
/// <param name="Models">Keys of the models in memory.</param>
internal sealed record EngineStatus(int Running, int FreeSlots, int Slots, int Loading, IReadOnlyList<string> Models);
