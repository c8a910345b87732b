using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>Where the workers of a job go, and what they go on from. Pure functions of what the silos say of themselves.</summary>
internal static class WorkerPlacing
{
    /// <summary>
    /// Divides the workers among silos. While there are no more silos than replicas, each hosts replicas whole, so that parameters need not travel; else the ordinals of a replica are
    /// shared out. Silos beyond the number of workers are left out.
    /// </summary>
    /// <param name="spec">Says how many workers there are.</param>
    /// <param name="silos">At least one, the leader first.</param>
    public static WorkerPlacement Place(TrainingSpec spec, IReadOnlyList<SiloHoldings> silos)
    {
        var (replicas, shards) = (spec.Replicas, spec.Shards);
        var count = Math.Min(silos.Count, replicas * shards);
        var hosts = new List<WorkerHost>(count);
        if (count <= replicas)
        {
            hosts.AddRange(Divide(replicas, count).Select((range, i) => Host(silos[i], range, (0, shards))));
        }
        else
        {
            foreach (var (replica, range) in Divide(count, replicas).Index())
            {
                hosts.AddRange(Divide(shards, range.Count).Select((ordinals, i) => Host(silos[range.First + i], (replica, 1), ordinals)));
            }
        }

        return new(replicas, shards, hosts.Count == 1 ? [hosts[0] with { Address = null }] : hosts);
    }

    /// <summary>The newest snapshot that the hosts keep all of between them; null if there is none.</summary>
    /// <param name="placement">The hosts.</param>
    /// <param name="stage">The stage it must be of.</param>
    /// <param name="silos">What each keeps.</param>
    /// <param name="from">Updates that it must have at least.</param>
    /// <param name="recovery">Whether error buffers may be missing.</param>
    public static RestorePoint? Newest(WorkerPlacement placement, TrainingStage stage, IReadOnlyList<SiloHoldings> silos, int from, RecoveryMode recovery)
    {
        var hosts = placement.Hosts.Select(host => host.Silo).ToHashSet(StringComparer.Ordinal);
        var byStep = silos.Where(silo => hosts.Contains(silo.Silo))
            .SelectMany(silo => silo.Holdings.Snapshots.Where(snapshot => snapshot.Stage == stage && snapshot.Step >= from).Select(snapshot => (silo.Silo, Snapshot: snapshot)))
            .GroupBy(pair => pair.Snapshot.Step)
            .OrderByDescending(group => group.Key);
        return byStep.Select(group => RestorePoint(placement, group.Key, group.ToDictionary(pair => pair.Silo, pair => pair.Snapshot.Pieces.ToHashSet(), StringComparer.Ordinal), recovery))
            .FirstOrDefault(point => point is not null);
    }

    /// <summary>The last update of a stage that any silo has done, as far as their memory says; 0 if it says nothing.</summary>
    public static int LastStep(TrainingStage stage, IReadOnlyList<SiloHoldings> silos) =>
        silos.SelectMany(silo => silo.Holdings.Snapshots).Where(snapshot => snapshot.Stage == stage).Select(snapshot => snapshot.Step).DefaultIfEmpty().Max();

    private static RestorePoint? RestorePoint(WorkerPlacement placement, int step, Dictionary<string, HashSet<ShardPiece>> kept, RecoveryMode recovery)
    {
        // Snapshots have error buffers only where gradients are compressed, and then those of every worker that was there.
        var compressed = kept.Values.Any(pieces => pieces.Any(piece => piece.Replica is not null));
        var transfers = new List<ShardTransfer>();
        var lostErrors = false;
        foreach (var host in placement.Hosts)
        {
            foreach (var piece in Needed(host, compressed).Where(piece => !Keeps(host.Silo, piece)))
            {
                if (placement.Hosts.FirstOrDefault(other => Keeps(other.Silo, piece)) is { } source)
                {
                    transfers.Add(new(piece, source.Silo, host.Silo));
                }
                else if (piece.Replica is null || recovery == RecoveryMode.Exact)
                {
                    return null;
                }
                else
                {
                    lostErrors = true;
                }
            }
        }

        return new(step, transfers, lostErrors);

        bool Keeps(string silo, ShardPiece piece) => kept.TryGetValue(silo, out var pieces) && pieces.Contains(piece);
    }

    private static IEnumerable<ShardPiece> Needed(WorkerHost host, bool compressed) => host.OwnOrdinals.SelectMany(ordinal =>
        compressed ? host.OwnReplicas.Select(replica => new ShardPiece(ordinal, replica)).Prepend(new(ordinal)) : [new ShardPiece(ordinal)]);

    private static WorkerHost Host(SiloHoldings silo, (int First, int Count) replicas, (int First, int Count) ordinals) =>
        new(silo.Silo, silo.Holdings.Address, replicas.First, replicas.Count, ordinals.First, ordinals.Count);

    // Runs as equal as can be, the first ones longer by one where it does not divide.
    private static IEnumerable<(int First, int Count)> Divide(int whole, int parts) =>
        Enumerable.Range(0, parts).Select(part => ((part * (whole / parts)) + Math.Min(part, whole % parts), (whole / parts) + (part < whole % parts ? 1 : 0)));
}

/// <summary>What a silo keeps of a job.</summary>
/// <param name="Silo">The silo's address, as <c>SiloAddress.ToParsableString()</c> writes it.</param>
/// <param name="Holdings">What it keeps.</param>
internal sealed record SiloHoldings(string Silo, ShardHoldings Holdings);
