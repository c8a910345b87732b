namespace Dalle.Contracts.Training;

/// <summary>
/// The parameter shards of a job that one silo keeps, keyed by <see cref="JobSilo"/>: weights, moments, averages and error buffers, in memory and as snapshots of whole steps. They outlive
/// the runs that train them, so that a job goes on from them when another silo was lost.
/// </summary>
public interface IShardGrain : IGrainWithStringKey
{
    /// <summary>Begins a membership epoch: what runs of an earlier one is ended, and its frames are dropped from now on.</summary>
    /// <returns>What is kept here.</returns>
    /// <exception cref="StaleLeaseException">A later epoch has begun.</exception>
    Task<ShardHoldings> Begin(long epoch, CancellationToken cancellationToken = default);

    /// <summary>Lets go of all that is kept in memory of the job.</summary>
    Task Release(CancellationToken cancellationToken = default);
}

/// <summary>What a silo keeps of a job in memory.</summary>
/// <param name="Address">Where its tensors come from and go to.</param>
/// <param name="Busy">Stages, of whatever jobs, that its device has at present.</param>
/// <param name="Leaving">Whether the silo leaves the cluster, and takes no workers any more.</param>
/// <param name="Snapshots">States of whole steps.</param>
[GenerateSerializer, Immutable, Alias("ShardHoldings")]
public sealed record ShardHoldings(
    [property: Id(0)] DataPlaneAddress Address, [property: Id(1)] int Busy, [property: Id(2)] bool Leaving, [property: Id(3)] IReadOnlyList<ShardSnapshot> Snapshots);

/// <summary>The state after a step, or the part of it that a silo keeps.</summary>
/// <param name="Stage">The stage it belongs to.</param>
/// <param name="Step">Updates done.</param>
/// <param name="Pieces">What is there.</param>
[GenerateSerializer, Immutable, Alias("ShardSnapshot")]
public sealed record ShardSnapshot([property: Id(0)] TrainingStage Stage, [property: Id(1)] int Step, [property: Id(2)] IReadOnlyList<ShardPiece> Pieces);

/// <summary>A piece of a job's state that is kept, sent and restored as a whole.</summary>
/// <param name="Ordinal">The shard.</param>
/// <param name="Replica">Whose error buffer it is, where gradients are compressed; null for weights, moments and averages, which all replicas have alike.</param>
[GenerateSerializer, Immutable, Alias("ShardPiece")]
public readonly record struct ShardPiece([property: Id(0)] int Ordinal, [property: Id(1)] int? Replica = null);

/// <summary>The snapshot that an epoch goes on from.</summary>
/// <param name="Step">Updates done.</param>
/// <param name="Transfers">Pieces that hosts do not keep themselves, and who sends them.</param>
/// <param name="LostErrors">Whether error buffers are missing: what there is of them is shared out among all replicas.</param>
[GenerateSerializer, Immutable, Alias("RestorePoint")]
public sealed record RestorePoint([property: Id(0)] int Step, [property: Id(1)] IReadOnlyList<ShardTransfer> Transfers, [property: Id(2)] bool LostErrors = false);

/// <summary>A piece of a snapshot that goes from one host to another.</summary>
/// <param name="Piece">The piece.</param>
/// <param name="From">The silo that keeps it.</param>
/// <param name="To">The silo that needs it.</param>
[GenerateSerializer, Immutable, Alias("ShardTransfer")]
public sealed record ShardTransfer([property: Id(0)] ShardPiece Piece, [property: Id(1)] string From, [property: Id(2)] string To);
