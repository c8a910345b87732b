using Dalle.Collectives.Compression;
using Dalle.Collectives.Groups;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Workers.Shards;

namespace Dalle.Workers.Training;

/// <summary>
/// The workers of a job that this silo hosts, for one membership epoch: computes each one's gradients in turn, exchanges them with those of the other hosts, and keeps the shards that are
/// here. The part of the grid that is here changes no bit of what is computed.
/// </summary>
/// <remarks>Used only on the device's thread, which waits for the other hosts.</remarks>
internal sealed class HostedWorkers<TBatch> : IDisposable
{
    /// <summary>Keys of what the hosts do together before their first update count down from here.</summary>
    private const long FirstMeeting = -1;

    /// <summary>Work that is done again at most when a silo is lost.</summary>
    private static readonly TimeSpan SnapshotPeriod = TimeSpan.FromSeconds(1);

    private readonly StageContext _context;
    private readonly IUpdates<TBatch> _updates;
    private readonly WorkerGrid _grid;
    private readonly GradientExchange _exchange;
    private readonly SnapshotExchange _snapshots;
    private readonly StatePieces _pieces;
    private readonly SharedCheckpoint _checkpoints;
    private readonly CancellationToken _aborted;
    private readonly CancellationTokenSource _ended;
    private Task _keeping = Task.CompletedTask;
    private long _meetings;
    private bool _sharesErrors;
    private long? _snapshotAt;

    /// <param name="context">The stage.</param>
    /// <param name="updates">Computes; the caller keeps and disposes it.</param>
    /// <param name="grid">The workers.</param>
    /// <param name="rows">The rows that the updates' trainer holds.</param>
    /// <param name="compression">How far gradients are compressed between replicas.</param>
    /// <param name="aborted">Gives up waiting for the other hosts.</param>
    public HostedWorkers(StageContext context, IUpdates<TBatch> updates, WorkerGrid grid, HeldRows rows, CompressionSettings compression, CancellationToken aborted)
    {
        (_context, _updates, _grid, _aborted, _ended) = (context, updates, grid, aborted, CancellationTokenSource.CreateLinkedTokenSource(aborted));
        var epoch = checked((int)context.Lease.Epoch);
        IMessageTransport transport = grid.Hosts.Count == 1 ? new SoleProcess(grid.Own.Address.Name) : context.Shards.Transport;
        _exchange = new(grid, rows, updates.Trainer, compression, context.Spec.Seed, transport, epoch);
        _snapshots = new(grid, transport, epoch);
        _pieces = new(rows, updates.Trainer);
        _checkpoints = new(grid, _exchange, _pieces, updates.Trainer, rows.Plan.Specs, compression);
    }

    /// <summary>Whether this host reports for all.</summary>
    public bool Leads => _grid.Leads;

    /// <summary>Whether there are no other hosts.</summary>
    public bool Alone => _grid.Hosts.Count == 1;

    /// <summary>Performs one update with all workers.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="batch">The samples of the workers that are here.</param>
    /// <param name="pace">As <see cref="IUpdates{TBatch}.Apply"/> takes it.</param>
    /// <param name="wishes">What this host wishes to happen after the update.</param>
    /// <returns>What is to be reported, if anything, and what all hosts do next.</returns>
    /// <exception cref="TransportException">A peer is lost; the update is not done here.</exception>
    public (TrainingEvent? Report, Verdict Verdict) Step(int step, TBatch batch, Pace? pace, Wishes wishes)
    {
        using var update = UpdateTracing.Begin("update")?.AddTag("job", _context.JobId).AddTag("step", step);
        var (began, sent) = (_context.Clock.GetTimestamp(), _exchange.SentBytes);
        IReadOnlyList<WorkerShare> shares;
        using (UpdateTracing.Begin("compute"))
        using (var exchange = _exchange.Begin(step, _aborted))
        {
            shares = _updates.Gradients(step, batch, exchange, measure: pace is not null || !Alone);
        }

        Ballot[] ballots = [.. shares.Select(share => new Ballot { Wishes = wishes | SnapshotWish(), Figures = share.Figures, NotFinite = share.NotFinite })];
        Verdict verdict;
        try
        {
            verdict = _exchange.Prepare(step, ballots, _aborted);
        }
        catch
        {
            _exchange.Abort();
            throw;
        }

        if (verdict.IsFinite)
        {
            _exchange.Commit();
        }
        else
        {
            _exchange.Abort();
        }

        var report = _updates.Apply(step, verdict, pace);
        if (verdict.IsFinite)
        {
            _exchange.Publish(step, _aborted);
        }

        _context.Instruments.OnUpdate(_context.JobId, _context.Lease.Stage, _context.Clock.GetElapsedTime(began), !verdict.IsFinite, _exchange.SentBytes - sent);
        return (report, verdict);
    }

    /// <summary>Brings the whole average of the parameters up to date, for an evaluation or for what is published.</summary>
    public void PublishAverage(int step) => _exchange.PublishAverage(step, _aborted);

    /// <summary>Restores the snapshot that the lease names, from this silo's memory and other hosts'.</summary>
    public void Restore(RestorePoint point)
    {
        var (stage, own, step) = (_context.Lease.Stage, _grid.Own.Address.Name, point.Step);
        var arrivals = new List<Task>();
        foreach (var transfer in point.Transfers)
        {
            if (transfer.From == own)
            {
                var kept = _context.Shards.Snapshots.Find(stage, step, transfer.Piece) ?? throw new InvalidOperationException($"Snapshot {step} of {stage} has no {transfer.Piece} here any more.");
                arrivals.Add(_snapshots.SendToRestore(Host(transfer.To), step, transfer.Piece, kept, _aborted));
            }
            else if (transfer.To == own)
            {
                arrivals.Add(Receive(transfer));
            }
        }

        Task.WhenAll(arrivals).GetAwaiter().GetResult();
        foreach (var ordinal in _grid.Own.OwnOrdinals)
        {
            if (_updates.Trainer.Step != step)
            {
                _pieces.Load(ordinal, Find(new(ordinal)) ?? throw new InvalidOperationException($"Snapshot {step} of {stage} has no ordinal {ordinal} here."));
            }

            foreach (var replica in _exchange.HasErrors ? _grid.Own.OwnReplicas : [])
            {
                if (Find(new(ordinal, replica)) is { } kept)
                {
                    using var error = kept.ToTensor();
                    _exchange.WriteError(replica, ordinal, error);
                }
            }

            if (point.LostErrors)
            {
                _exchange.ShareErrors(FirstMeeting, ordinal, _aborted).Dispose();
            }
        }

        Begin(step);

        async Task Receive(ShardTransfer transfer) =>
            _context.Shards.Snapshots.Keep(stage, step, transfer.Piece, await _snapshots.ReceiveToRestore(Host(transfer.From), step, transfer.Piece, _aborted));

        StateBuffer? Find(ShardPiece piece) => _context.Shards.Snapshots.Find(stage, step, piece);

        GridHost Host(string name) => _grid.Hosts.First(host => host.Address.Name == name);
    }

    /// <summary>Restores the part of a checkpoint that is here; <see cref="Begin"/> is to follow.</summary>
    /// <exception cref="Model.Safetensors.SafetensorsException">It cannot be read; no part of the network was changed.</exception>
    public void Restore(CheckpointManifest checkpoint) => _checkpoints.Restore(_context.Folder.PathOf(checkpoint), checkpoint);

    /// <inheritdoc cref="SharedCheckpoint.Save"/>
    public void Save(CheckpointManifest checkpoint, bool scheduled)
    {
        _sharesErrors = scheduled && _exchange.HasErrors;
        _checkpoints.Save(_context.Folder.PathOf(checkpoint), checkpoint, scheduled, _aborted);
        _sharesErrors = false;
    }

    /// <summary>The least and the greatest of the steps that the hosts have restored. To be called by all of them until they are the same.</summary>
    public (int Least, int Greatest) Agree(int step)
    {
        if (Alone)
        {
            return (step, step);
        }

        // Keys of these meetings are those of no update.
        var steps = _exchange.Meet(FirstMeeting - _meetings++, [.. _grid.OwnWorkers.Select(_ => (ulong)step)], _aborted);
        return ((int)steps.Min(), (int)steps.Max());
    }

    /// <summary>Begins with the state that the held rows have now, restored or initial.</summary>
    /// <param name="step">Updates done.</param>
    public void Begin(int step)
    {
        _updates.Trainer.Step = step;
        _exchange.Publish(FirstMeeting, _aborted);
        _updates.Trainer.OnRestored();
    }

    /// <summary>Keeps the state after a step in memory, here and, of what only one host has, at its neighbour.</summary>
    /// <param name="step">Updates done.</param>
    /// <param name="leaving">Hosts that leave.</param>
    /// <param name="wait">Whether to wait until all of it is there.</param>
    public void KeepSnapshot(int step, IReadOnlySet<int> leaving, bool wait)
    {
        _keeping.GetAwaiter().GetResult();
        KeepOwn(step);
        _snapshotAt = _context.Clock.GetTimestamp();
        _keeping = _snapshots.KeepForEachOther(_context.Lease.Stage, step, leaving, _exchange.HasErrors, _context.Shards.Snapshots, _ended.Token);
        if (wait)
        {
            _keeping.GetAwaiter().GetResult();
        }
    }

    /// <summary>
    /// Keeps the state that the last update has left, here alone: another host was lost, or the job's own silo, and nothing needs to be computed again of which all pieces are left. In the
    /// middle of a scheduled checkpoint error buffers may be those before it here and those after it elsewhere, which an exact recovery cannot use.
    /// </summary>
    public void KeepLast()
    {
        if (!_sharesErrors || _context.Spec.Recovery == RecoveryMode.Continue)
        {
            KeepOwn(_updates.Trainer.Step);
        }
    }

    /// <summary>Gives up what of a snapshot is still on its way.</summary>
    public void Dispose()
    {
        _ended.Cancel();
        ((IAsyncResult)_keeping).AsyncWaitHandle.WaitOne();
        _ = _keeping.Exception;
        _ended.Dispose();
        _exchange.Dispose();
    }

    private void KeepOwn(int step)
    {
        var (stage, snapshots) = (_context.Lease.Stage, _context.Shards.Snapshots);
        foreach (var ordinal in _grid.Own.OwnOrdinals)
        {
            var piece = new StateBuffer(_pieces.Size(ordinal));
            _pieces.Save(ordinal, piece);
            snapshots.Keep(stage, step, new(ordinal), piece);
            foreach (var replica in _exchange.HasErrors ? _grid.Own.OwnReplicas : [])
            {
                using var error = _exchange.ReadError(replica, ordinal);
                snapshots.Keep(stage, step, new(ordinal, replica), StateBuffer.Of(error));
            }
        }
    }

    private Wishes SnapshotWish()
    {
        if (Alone)
        {
            return Wishes.None;
        }

        if (!_keeping.IsCompleted)
        {
            return Wishes.NoSnapshot;
        }

        return Leads && (_snapshotAt is not { } at || _context.Clock.GetElapsedTime(at) >= SnapshotPeriod) ? Wishes.Snapshot : Wishes.None;
    }
}
