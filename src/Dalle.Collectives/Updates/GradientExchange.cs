using Dalle.Collectives.Compression;
using Dalle.Collectives.Transport;
using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Updates;

/// <summary>
/// The part of an update that workers do together (paper, section 2.4 and appendix E), for the workers of one process during one membership epoch. Each worker's gradient is given to what
/// <see cref="Begin"/> returns; <see cref="Prepare"/> sums them over the ordinals of each replica, compresses them between replicas and collects the ballots; then <see cref="Commit"/> gives the mean
/// gradient of the held rows to the trainer, which applies it, and <see cref="Publish"/> lets the other ordinals have the new rows. Or <see cref="Abort"/>.
/// </summary>
/// <remarks>
/// Used only on its device's thread, which waits for the peers. Sums are made in the order of replicas and ordinals, so the bits do not depend on the grid's hosts. When a peer is lost, what
/// waits for it fails with a <see cref="TransportException"/>; parameters and error buffers are then as before the update, unless its ballots were there already.
/// </remarks>
public sealed class GradientExchange : IDisposable
{
    private readonly WorkerGrid _grid;
    private readonly HeldRows _rows;
    private readonly IShardedTrainer _trainer;
    private readonly WorkerGroups _groups;
    private readonly PowerSgd[] _compression;
    private readonly CompressionSettings _settings;
    private readonly ulong _seed;
    private readonly Tensor[] _gradients;
    private readonly Tensor _shard_N;
    private PowerSgd[] _plain = [];
    private PowerSgd[] _present;

    /// <summary>Allocates what the exchange needs beside the trainer's own buffers: a gradient for each worker where the process hosts several, and error buffers where there are several replicas.</summary>
    /// <param name="grid">The workers and their hosts.</param>
    /// <param name="rows">The rows that the trainer holds: those of the ordinals that are here.</param>
    /// <param name="trainer">Gives gradients and takes their mean; the caller keeps and disposes it.</param>
    /// <param name="compression">How far gradients are compressed between replicas.</param>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="transport">The way to the other hosts.</param>
    /// <param name="epoch">The membership epoch.</param>
    public GradientExchange(WorkerGrid grid, HeldRows rows, IShardedTrainer trainer, CompressionSettings compression, ulong seed, IMessageTransport transport, int epoch)
    {
        (_grid, _rows, _trainer, _settings, _seed) = (grid, rows, trainer, compression, seed);
        _groups = new(grid, rows, transport, epoch);
        using var scope = NewDisposeScope();
        _present = _compression = Create(compression);
        _gradients = grid.OwnWorkers.Count == 1
            ? [trainer.Network.Gradient]
            : [.. grid.OwnWorkers.Select(_ => zeros_like(trainer.Network.Gradient).DetachFromDisposeScope())];
        _shard_N = zeros(grid.Shards == 1 ? 0 : grid.Own.OwnOrdinals.Max(ordinal => rows.Plan.Shards[ordinal].Count), device: trainer.Network.Master.device).DetachFromDisposeScope();
    }

    /// <summary>Payload bytes sent to other processes in this epoch.</summary>
    public long SentBytes => _groups.SentBytes;

    /// <summary>Whether anything of the network is compressed between replicas, and so every worker has an error buffer.</summary>
    public bool HasErrors => _compression.Any(ordinal => ordinal.Plan.CompressedCount > 0);

    /// <summary>Begins an update: its workers' gradients are to be given to what this returns, which is then to be disposed of.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public IWorkerExchange Begin(long step, CancellationToken cancellationToken) => new WorkerExchange(_groups, _trainer.Held, _gradients, step, cancellationToken);

    /// <summary>Sums and compresses the gradients of all workers, and collects their ballots.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="ballots">A ballot of each worker that is here; their norms are filled in.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public Verdict Prepare(long step, IReadOnlyList<Ballot> ballots, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var squares = new double[_grid.Own.Ordinals];
        Choose(step);
        using (UpdateTracing.Begin("reduce"))
        {
            ReduceReplicas(step, squares, cancellationToken);
        }

        if (_present.Length > 0)
        {
            squares = Compress(step, cancellationToken);
        }

        using var vote = UpdateTracing.Begin("vote");
        return Vote(step, [.. ballots.Select((ballot, i) => ballot with { SquaredNorm = squares[i % squares.Length] })], cancellationToken);
    }

    /// <summary>Brings the mean gradient into the trainer's held rows: the update is to be applied now.</summary>
    public void Commit()
    {
        using var span = UpdateTracing.Begin("commit");
        using var untracked = no_grad();
        for (var ordinal = 0; ordinal < _present.Length; ordinal++)
        {
            using var scope = NewDisposeScope();
            if (_grid.Shards == 1)
            {
                _present[ordinal].Commit(_trainer.Held.Gradient);
                continue;
            }

            var number = _grid.Own.FirstOrdinal + ordinal;
            var shard_N = _shard_N.narrow(0, 0, _rows.Plan.Shards[number].Count);
            _present[ordinal].Commit(shard_N);
            _rows.CopyFromShard(shard_N, number, _trainer.Held.Gradient);
        }
    }

    /// <summary>Forgets the update: error buffers are as before it, to the bit.</summary>
    public void Abort()
    {
        foreach (var ordinal in _present)
        {
            ordinal.Abort();
        }
    }

    /// <summary>Gathers the new rows of all ordinals into the arrays that are whole in every process; nothing where this process holds them all.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public void Publish(long step, CancellationToken cancellationToken)
    {
        if (!_grid.HoldsAll)
        {
            var network = _trainer.Network;
            using var scope = NewDisposeScope();
            WorkerGroups.Wait(_groups.Gather(step, Operation.Parameters, "", _trainer.Held.Master, network, name => network.View(network.Master, name), cancellationToken));
            network.RefreshCompute();
        }
    }

    /// <summary>
    /// Gathers the averages of all ordinals, in the process that leads into the trainer's whole average; nothing where it holds them all. All processes must do so at the same step.
    /// </summary>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public void PublishAverage(long step, CancellationToken cancellationToken)
    {
        foreach (var spec in _grid.HoldsAll ? [] : _rows.Plan.Specs)
        {
            // One after the other: only the process that leads has room for all.
            using var scope = NewDisposeScope();
            using var untracked = no_grad();
            using var array = new ParameterStore([spec], Precision.Float32, _trainer.HeldAverage.device, trains: false);
            WorkerGroups.Wait(_groups.Gather(step, Operation.Average, "", _trainer.HeldAverage, array, name => array.View(array.Master, name), cancellationToken));
            if (_grid.Leads)
            {
                _trainer.Average.View(_trainer.Average.Master, spec.Name).copy_(array.View(array.Master, spec.Name));
            }
        }
    }

    /// <summary>Waits until all workers' processes have come here, and exchanges a few numbers of each.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="own">As many for each worker that is here, one worker after the other.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    /// <returns>The numbers of all workers, one after the other.</returns>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public ulong[] Meet(long step, ReadOnlySpan<ulong> own, CancellationToken cancellationToken) => _groups.Gather(step, Operation.Meeting, own.ToArray(), cancellationToken);

    /// <summary>The error buffer of a worker that is here: float32 <c>[n]</c>, copied; empty where nothing is compressed. The caller disposes it.</summary>
    /// <param name="replica">Its replica.</param>
    /// <param name="ordinal">Its ordinal.</param>
    public Tensor ReadError(int replica, int ordinal)
    {
        if (_compression.Length == 0)
        {
            return empty(0);
        }

        var compression = _compression[ordinal - _grid.Own.FirstOrdinal];
        var error_C = empty(compression.Plan.CompressedCount, device: _trainer.Network.Master.device);
        compression.ReadError(replica - _grid.Own.FirstReplica, error_C);
        return error_C;
    }

    /// <summary>Replaces the error buffer of a worker that is here.</summary>
    public void WriteError(int replica, int ordinal, Tensor error_C)
    {
        if (_compression.Length > 0)
        {
            _compression[ordinal - _grid.Own.FirstOrdinal].WriteError(replica - _grid.Own.FirstReplica, error_C);
        }
    }

    /// <summary>The sum of an ordinal's error buffers over the replicas, which every one of them then has its equal part of (paper, appendix E: what a checkpoint holds).</summary>
    /// <returns>Float32 <c>[n]</c>; empty where nothing is compressed. The caller disposes it.</returns>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public Tensor ShareErrors(long step, int ordinal, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var errors = _grid.Own.OwnReplicas.Select(replica => ReadError(replica, ordinal)).ToArray();
        if (_compression.Length > 0)
        {
            _groups.ReduceOrdinal(step, Operation.Errors, ordinal, errors, cancellationToken);
            var share_C = errors[0].div(Number(_grid.Replicas));
            foreach (var replica in _grid.Own.OwnReplicas)
            {
                WriteError(replica, ordinal, share_C);
            }
        }

        return errors[0].MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var gradient in _gradients.Length > 1 ? _gradients : [])
        {
            gradient.Dispose();
        }

        foreach (var ordinal in (PowerSgd[])[.. _compression, .. _plain])
        {
            ordinal.Dispose();
        }

        _shard_N.Dispose();
    }

    private PowerSgd[] Create(CompressionSettings settings) => _grid.Replicas == 1 ? [] :
        [.. _grid.Own.OwnOrdinals.Select(ordinal => new PowerSgd(new(_rows.Plan.Shards[ordinal], settings), _grid.Replicas, _seed, _trainer.Network.Master.device, _grid.Own.Replicas))];

    // What serves updates before the first compressed one has buffers of its own, which go when that has come.
    private void Choose(long step)
    {
        if (HasErrors && step < _settings.WarmUp)
        {
            _present = _plain = _plain.Length > 0 ? _plain : Create(_settings with { Rank = 0, Overrides = null });
        }
        else if (_plain.Length > 0)
        {
            Array.ForEach(_plain, ordinal => ordinal.Dispose());
            (_present, _plain) = (_compression, []);
        }
    }

    // Sums over the ordinals of each replica that is here, and gives the result to the compression between replicas where there is one; else fills in the squared norms.
    private void ReduceReplicas(long step, double[] squares, CancellationToken cancellationToken)
    {
        for (var replica = 0; replica < _grid.Own.Replicas; replica++)
        {
            var reduced_N = ReduceReplica(step, replica, cancellationToken);
            for (var ordinal = 0; ordinal < squares.Length; ordinal++)
            {
                if (_present.Length == 0)
                {
                    squares[ordinal] = SquaredNorm(reduced_N, ordinal);
                    continue;
                }

                // The sum over all workers is the mean over replicas of what is R times each one's part.
                var shard_N = ToShard(reduced_N, ordinal);
                shard_N.mul_(Number(_grid.Replicas));
                _present[ordinal].Accumulate(replica, shard_N);
            }
        }
    }

    // Factors of all ordinals that are here, summed over the replicas; gives the squared norms.
    private double[] Compress(long step, CancellationToken cancellationToken)
    {
        _groups.ReduceOrdinals(step, Operation.LeftFactors, Compress(ordinal => ordinal.Project(step)), cancellationToken);
        _groups.ReduceOrdinals(step, Operation.RightFactors, Compress(ordinal => ordinal.Factor()), cancellationToken);
        return [.. _present.Select(ordinal => ordinal.SquaredNorm())];
    }

    private IReadOnlyList<Tensor>[] Compress(Func<PowerSgd, IReadOnlyList<Tensor>> phase)
    {
        using var span = UpdateTracing.Begin("compress");
        return [.. _present.Select(phase)];
    }

    // The gradient of a replica that is here, summed over its ordinals: laid out as the held rows.
    private Tensor ReduceReplica(long step, int replica, CancellationToken cancellationToken)
    {
        var own = _gradients[(replica * _grid.Own.Ordinals)..((replica + 1) * _grid.Own.Ordinals)];
        if (!_grid.HoldsAll)
        {
            var network = _trainer.Network;
            using var scope = NewDisposeScope();
            WorkerGroups.Wait(_groups.ReduceReplica(step, "", [.. own.Select(gradient => (network, gradient))], _trainer.Held.Gradient, cancellationToken));
            return _trainer.Held.Gradient;
        }

        var target_N = _grid.Replicas == 1 ? _trainer.Held.Gradient : own[0];
        _groups.ReduceReplica(step, replica, own, target_N, cancellationToken);
        return target_N;
    }

    // The slices of an ordinal as one buffer. Of the only ordinal that is the gradient itself.
    private Tensor ToShard(Tensor reduced_N, int ordinal)
    {
        if (_grid.Shards == 1)
        {
            return reduced_N;
        }

        var number = _grid.Own.FirstOrdinal + ordinal;
        var shard_N = _shard_N.narrow(0, 0, _rows.Plan.Shards[number].Count);
        _rows.CopyToShard(reduced_N, number, shard_N);
        return shard_N;
    }

    private double SquaredNorm(Tensor reduced_N, int ordinal)
    {
        if (_grid.Shards == 1)
        {
            return _trainer.SquaredNorm();
        }

        var shard_N = ToShard(reduced_N, ordinal);
        return TensorMemory.SuitsKernelsElementwise(shard_N) ? AdamWKernel.SumOfSquares(shard_N) : Math.Pow(shard_N.norm().item<float>(), 2);
    }

    private Verdict Vote(long step, IReadOnlyList<Ballot> ballots, CancellationToken cancellationToken)
    {
        var own = new ulong[ballots.Count * Ballot.Words];
        foreach (var (i, ballot) in ballots.Index())
        {
            ballot.Write(own.AsSpan(i * Ballot.Words, Ballot.Words));
        }

        var all = _groups.Gather(step, Operation.Ballots, own, cancellationToken);
        return Verdict.Of(_grid, [.. Enumerable.Range(0, _grid.Workers).Select(worker => Ballot.Read(all.AsSpan(worker * Ballot.Words, Ballot.Words)))]);
    }
}
