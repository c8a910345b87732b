using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>
/// Checkpoints that the hosts of a job write together: every ordinal's state by the host of its first replica, error buffers of compression beside them, and the manifest, once all of that is
/// durable, by the host that leads.
/// </summary>
/// <remarks>Used only on the device's thread, which waits for the other hosts.</remarks>
internal sealed class SharedCheckpoint(
    WorkerGrid grid, GradientExchange exchange, StatePieces pieces, IShardedTrainer trainer, IReadOnlyList<ParameterSpec> specs, CompressionSettings compression)
{
    /// <summary>Numbers that tell length and hash of a file, or by zeros that there is none.</summary>
    private const int SealWords = 5;

    /// <summary>Of each worker: a seal of its state and one of its error buffer.</summary>
    private const int WorkerWords = 2 * SealWords;

    /// <summary>Restores what of a checkpoint is held here, by however many workers it was written.</summary>
    /// <param name="folder">Where it is.</param>
    /// <param name="checkpoint">Which.</param>
    /// <exception cref="SafetensorsException">It cannot be read; no part of the network was changed.</exception>
    public void Restore(string folder, CheckpointManifest checkpoint)
    {
        using var reader = Checkpoint.Open(folder, checkpoint.Stage.ToString());
        using var scope = NewDisposeScope();
        reader.ReadAllInto(trainer.NamedState().Select(part => new CheckpointTarget(part.Name, part.Tensor, pieces.FirstRow(part.Name, grid.Own.FirstOrdinal))));
        var errors = new CheckpointErrors(reader, grid, specs, compression);
        foreach (var (replica, ordinal) in exchange.HasErrors ? Own : [])
        {
            exchange.WriteError(replica, ordinal, errors.Read(replica, ordinal));
        }
    }

    /// <summary>Writes a checkpoint together with the other hosts; ends when all of it is durable.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="checkpoint">Which.</param>
    /// <param name="scheduled">
    /// Whether the job's spec names this step: then the replicas share out their error buffers, here too, so that the checkpoint holds only sums and is exact all the same (paper, appendix E).
    /// Else every worker keeps its own.
    /// </param>
    /// <param name="cancellationToken">Gives up waiting for the other hosts.</param>
    /// <exception cref="TransportException">A host is lost.</exception>
    public void Save(string folder, CheckpointManifest checkpoint, bool scheduled, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var seals = new List<ulong>();
        foreach (var (replica, ordinal) in Own)
        {
            seals.AddRange(SealOf(replica == 0 ? Checkpoint.WriteFile(folder, Checkpoint.StateFile(ordinal), checkpoint.Step, PartsOf(ordinal)) : null));
            seals.AddRange(SealOf(exchange.HasErrors ? WriteError(folder, checkpoint.Step, replica, ordinal, scheduled, cancellationToken) : null));
        }

        var all = grid.Hosts.Count == 1 ? [.. seals] : exchange.Meet(checkpoint.Step, CollectionsMarshal.AsSpan(seals), cancellationToken);
        if (grid.Leads)
        {
            Checkpoint.Seal(folder, checkpoint.Stage.ToString(), checkpoint.Step, [.. Enumerable.Range(0, grid.Workers).SelectMany(worker => FilesOf(worker, all, scheduled))]);
        }
    }

    private IEnumerable<(int Replica, int Ordinal)> Own => grid.OwnWorkers.Select(worker => (worker / grid.Shards, worker % grid.Shards));

    // What has no rows is in the first ordinal's file alone.
    private IEnumerable<(string Name, Tensor Tensor)> PartsOf(int ordinal) =>
        pieces.Parts(ordinal).Where(part => part.HasRows || ordinal == 0).Select(part => (part.Name, part.Tensor));

    private CheckpointFile? WriteError(string folder, int step, int replica, int ordinal, bool scheduled, CancellationToken cancellationToken)
    {
        // Shared out once for all replicas that are here.
        var error = scheduled && replica == grid.Own.FirstReplica ? exchange.ShareErrors(step, ordinal, cancellationToken) : exchange.ReadError(replica, ordinal);
        return scheduled && replica > 0 ? null : Checkpoint.WriteFile(folder, CheckpointErrors.FileOf(replica, ordinal, scheduled), step, [("error", error)]);
    }

    private IEnumerable<CheckpointFile> FilesOf(int worker, ulong[] seals, bool scheduled)
    {
        var (replica, ordinal) = (worker / grid.Shards, worker % grid.Shards);
        var state = FileOf(Checkpoint.StateFile(ordinal), seals.AsSpan(worker * WorkerWords, SealWords));
        var error = FileOf(CheckpointErrors.FileOf(replica, ordinal, scheduled), seals.AsSpan((worker * WorkerWords) + SealWords, SealWords));
        return ((CheckpointFile?[])[state, error]).OfType<CheckpointFile>();
    }

    private static ulong[] SealOf(CheckpointFile? file)
    {
        if (file is null)
        {
            return new ulong[SealWords];
        }

        var hash = Convert.FromHexString(file.Sha256);
        return [(ulong)file.Size, .. Enumerable.Range(0, SealWords - 1).Select(i => BinaryPrimitives.ReadUInt64BigEndian(hash.AsSpan(i * sizeof(ulong))))];
    }

    private static CheckpointFile? FileOf(string name, ReadOnlySpan<ulong> seal)
    {
        if (seal[0] == 0)
        {
            return null;
        }

        Span<byte> hash = stackalloc byte[(SealWords - 1) * sizeof(ulong)];
        for (var i = 1; i < SealWords; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(hash[((i - 1) * sizeof(ulong))..], seal[i]);
        }

        return new(name, (long)seal[0], Convert.ToHexStringLower(hash));
    }
}
