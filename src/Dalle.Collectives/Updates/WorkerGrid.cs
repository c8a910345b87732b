using Dalle.Collectives.Groups;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Updates;

/// <summary>The workers of a job, R replicas of S ordinals each, and the processes that host them. Every process has the same grid but for which host is its own.</summary>
public sealed class WorkerGrid
{
    /// <param name="replicas">R, at least 1.</param>
    /// <param name="shards">S, at least 1.</param>
    /// <param name="hosts">Every worker is on exactly one of them.</param>
    /// <param name="own">Which of them is this process.</param>
    /// <exception cref="ArgumentException">A worker is on no host or on several, or hosts have ordinals of several replicas but not all.</exception>
    public WorkerGrid(int replicas, int shards, IReadOnlyList<GridHost> hosts, int own)
    {
        if (hosts.Sum(host => host.Replicas * host.Ordinals) != replicas * shards
            || Enumerable.Range(0, replicas * shards).Any(worker => hosts.Count(host => host.Has(worker / shards, worker % shards)) != 1)
            || hosts.Any(host => host.Replicas > 1 && host.Ordinals < shards))
        {
            throw new ArgumentException($"Expected {replicas} x {shards} workers on one host each, in whole replicas or runs of ordinals of one, got [{string.Join("; ", hosts)}].", nameof(hosts));
        }

        (Replicas, Shards, Hosts, Own) = (replicas, shards, hosts, hosts[own]);
        OwnWorkers = [.. from replica in Own.OwnReplicas from ordinal in Own.OwnOrdinals select (replica * shards) + ordinal];
    }

    /// <summary>Copies of the parameters, R.</summary>
    public int Replicas { get; }

    /// <summary>Ordinals of a replica, S.</summary>
    public int Shards { get; }

    /// <summary>The processes; the first one leads.</summary>
    public IReadOnlyList<GridHost> Hosts { get; }

    /// <summary>This process.</summary>
    public GridHost Own { get; }

    /// <summary>Numbers of the workers that are here, in order: replica * S + ordinal.</summary>
    public IReadOnlyList<int> OwnWorkers { get; }

    /// <summary>Workers in all.</summary>
    public int Workers => Replicas * Shards;

    /// <summary>Whether this process leads: it reports for all.</summary>
    public bool Leads => ReferenceEquals(Own, Hosts[0]);

    /// <summary>Whether this process has all ordinals of its replicas, so that parameters need not travel.</summary>
    public bool HoldsAll => Own.Ordinals == Shards;

    /// <summary>All workers.</summary>
    public IReadOnlyList<GroupMember> All => [.. Enumerable.Range(0, Workers).Select(Member)];

    /// <summary>The workers of a replica, by ordinal.</summary>
    public IReadOnlyList<GroupMember> OfReplica(int replica) => [.. Enumerable.Range(0, Shards).Select(ordinal => Member((replica * Shards) + ordinal))];

    /// <summary>The workers of an ordinal, by replica.</summary>
    public IReadOnlyList<GroupMember> OfOrdinal(int ordinal) => [.. Enumerable.Range(0, Replicas).Select(replica => Member((replica * Shards) + ordinal))];

    /// <summary>The host of a worker.</summary>
    public GridHost HostOf(int worker) => Hosts.First(host => host.Has(worker / Shards, worker % Shards));

    private GroupMember Member(int worker) => new((ushort)worker, HostOf(worker).Address);
}

/// <summary>A process and the workers it hosts: whole replicas, or a run of the ordinals of one.</summary>
/// <param name="Address">Where it is reached.</param>
/// <param name="FirstReplica">Its first replica.</param>
/// <param name="Replicas">How many.</param>
/// <param name="FirstOrdinal">Its first ordinal, of each of them.</param>
/// <param name="Ordinals">How many.</param>
public sealed record GridHost(PeerAddress Address, int FirstReplica, int Replicas, int FirstOrdinal, int Ordinals)
{
    /// <summary>Its replicas.</summary>
    public IEnumerable<int> OwnReplicas => Enumerable.Range(FirstReplica, Replicas);

    /// <summary>Its ordinals.</summary>
    public IEnumerable<int> OwnOrdinals => Enumerable.Range(FirstOrdinal, Ordinals);

    /// <summary>Whether a worker is here.</summary>
    public bool Has(int replica, int ordinal) =>
        replica >= FirstReplica && replica < FirstReplica + Replicas && ordinal >= FirstOrdinal && ordinal < FirstOrdinal + Ordinals;
}
