namespace Dalle.Contracts.Training;

/// <summary>
/// Which silo hosts which workers of a job during one membership epoch. The job's spec says how many workers there are and so what is computed; where they are changes nothing of it.
/// </summary>
/// <param name="Replicas">Copies of the parameters, R.</param>
/// <param name="Shards">Ordinals of a replica, S.</param>
/// <param name="Hosts">Every worker is on exactly one of them. The first one leads: it reports, evaluates and seals checkpoints.</param>
[GenerateSerializer, Immutable, Alias("WorkerPlacement")]
public sealed record WorkerPlacement([property: Id(0)] int Replicas, [property: Id(1)] int Shards, [property: Id(2)] IReadOnlyList<WorkerHost> Hosts)
{
    /// <summary>Workers in all.</summary>
    public int Workers => Replicas * Shards;

    /// <summary>The host that leads.</summary>
    public WorkerHost Leader => Hosts[0];

    /// <summary>The host on a silo.</summary>
    /// <exception cref="InvalidOperationException">The silo hosts no worker.</exception>
    public WorkerHost On(string silo) => Hosts.FirstOrDefault(host => host.Silo == silo) ?? throw new InvalidOperationException($"Silo {silo} hosts no worker here.");
}

/// <summary>The workers that one silo hosts: some replicas whole, or a run of one replica's ordinals.</summary>
/// <param name="Silo">The silo's address, as <c>SiloAddress.ToParsableString()</c> writes it.</param>
/// <param name="Address">Where its tensors come from and go to; null where it is the only host.</param>
/// <param name="FirstReplica">Its first replica.</param>
/// <param name="Replicas">How many.</param>
/// <param name="FirstOrdinal">Its first ordinal, of each of them.</param>
/// <param name="Ordinals">How many.</param>
[GenerateSerializer, Immutable, Alias("WorkerHost")]
public sealed record WorkerHost(
    [property: Id(0)] string Silo, [property: Id(1)] DataPlaneAddress? Address,
    [property: Id(2)] int FirstReplica, [property: Id(3)] int Replicas, [property: Id(4)] int FirstOrdinal, [property: Id(5)] int Ordinals)
{
    /// <summary>Its replicas.</summary>
    public IEnumerable<int> OwnReplicas => Enumerable.Range(FirstReplica, Replicas);

    /// <summary>Its ordinals.</summary>
    public IEnumerable<int> OwnOrdinals => Enumerable.Range(FirstOrdinal, Ordinals);

    /// <summary>Whether a worker is here.</summary>
    public bool Has(int replica, int ordinal) =>
        replica >= FirstReplica && replica < FirstReplica + Replicas && ordinal >= FirstOrdinal && ordinal < FirstOrdinal + Ordinals;

    /// <summary>Its workers, as <c>replicas/ordinals</c>: <c>0-1/0</c>.</summary>
    public override string ToString() => $"{Run(FirstReplica, Replicas)}/{Run(FirstOrdinal, Ordinals)}";

    private static string Run(int first, int count) => count == 1 ? $"{first}" : $"{first}-{first + count - 1}";
}

/// <summary>Where a silo's tensors come from and go to.</summary>
/// <param name="Name">The silo's name there.</param>
/// <param name="EndPoint">TCP address and port, as <c>address:port</c>.</param>
/// <param name="Machine">Which running machine it is on; null if unknown.</param>
/// <param name="SocketPath">Its Unix-domain socket for others on that machine; null if it has none.</param>
[GenerateSerializer, Immutable, Alias("DataPlaneAddress")]
public sealed record DataPlaneAddress([property: Id(0)] string Name, [property: Id(1)] string EndPoint, [property: Id(2)] string? Machine, [property: Id(3)] string? SocketPath);
