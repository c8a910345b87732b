namespace Dalle.Contracts.Training;

/// <summary>How many workers a resting job is to go on with.</summary>
/// <param name="Replicas">Copies of the parameters; null for as many as before.</param>
/// <param name="Shards">Workers that share the parameters of each copy; null for as many as before.</param>
[GenerateSerializer, Immutable, Alias("WorkerCounts")]
public sealed record WorkerCounts([property: Id(0)] int? Replicas = null, [property: Id(1)] int? Shards = null);
