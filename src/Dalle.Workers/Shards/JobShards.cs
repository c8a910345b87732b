using System.Collections.Concurrent;
using Dalle.Collectives.Transport;
using Dalle.Contracts.Training;
using Dalle.Workers.Training;

namespace Dalle.Workers.Shards;

/// <summary>What this silo has of one job between its runs and while they last: the run, the way to the job's other hosts, and snapshots.</summary>
/// <remarks>Thread-safe: the shard grain begins epochs, the worker grain runs them.</remarks>
internal sealed class JobShards(string job, DataPlane plane) : IDisposable
{
    private readonly SemaphoreSlim _turns = new(1);
    private StageRun? _run;
    private JobTransport? _transport;
    private IAsyncDisposable? _open;
    private long _epoch;

    /// <summary>Samples that were damaged, for the next report of a run.</summary>
    public ConcurrentQueue<SampleReplaced> Replaced { get; } = new();

    /// <summary>States kept in memory.</summary>
    public Snapshots Snapshots { get; } = new();

    /// <summary>The way to the other hosts in the present epoch.</summary>
    /// <exception cref="InvalidOperationException">No epoch was begun.</exception>
    public JobTransport Transport => _transport ?? throw new InvalidOperationException($"Job '{job}' has begun no epoch on this silo.");

    /// <summary>Bytes on their way to the other hosts.</summary>
    public long BytesInFlight => _transport?.PendingBytes ?? 0;

    /// <summary>Begins an epoch: ends the run of an earlier one, and what it sends and waits for.</summary>
    /// <exception cref="StaleLeaseException">A later epoch has begun.</exception>
    public Task Begin(long epoch) => InTurn(async () =>
    {
        if (epoch < _epoch)
        {
            throw new StaleLeaseException(epoch, _epoch);
        }

        await (_run?.Abort() ?? Task.CompletedTask);
        if (epoch == _epoch)
        {
            return;
        }

        _epoch = epoch;
        if (_transport is null)
        {
            _transport = plane.Open(job, checked((int)epoch));
        }
        else
        {
            _transport.BeginEpoch(checked((int)epoch));
        }
    });

    /// <summary>Puts a run in place of the one before, which is ended.</summary>
    /// <exception cref="StaleLeaseException">A later epoch has begun.</exception>
    public Task Enter(StageRun run, long epoch) => InTurn(async () =>
    {
        if (epoch < _epoch)
        {
            throw new StaleLeaseException(epoch, _epoch);
        }

        await (_run?.Abort() ?? Task.CompletedTask);
        _run = run;
    });

    /// <summary>The run has ended.</summary>
    public void Leave(StageRun run) => Interlocked.CompareExchange(ref _run, null, run);

    /// <summary>Keeps what a stage has open for its next epoch, in place of what was kept before.</summary>
    public ValueTask Keep(IAsyncDisposable open) => Interlocked.Exchange(ref _open, open)?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>Takes what was kept; null if nothing was.</summary>
    public IAsyncDisposable? Take() => Interlocked.Exchange(ref _open, null);

    /// <summary>Ends the run and lets go of everything.</summary>
    public Task Release() => InTurn(async () =>
    {
        await (_run?.Abort() ?? Task.CompletedTask);
        await (Take()?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_transport?.DisposeAsync() ?? ValueTask.CompletedTask);
        _transport = null;
        Snapshots.Clear();
    });

    public void Dispose() => _turns.Dispose();

    private async Task InTurn(Func<Task> work)
    {
        await _turns.WaitAsync();
        try
        {
            await work();
        }
        finally
        {
            _turns.Release();
        }
    }
}

/// <summary>What this silo has of every job.</summary>
internal sealed class JobShardDirectory(DataPlane plane) : IDisposable
{
    private readonly ConcurrentDictionary<string, JobShards> _jobs = new(StringComparer.Ordinal);

    /// <summary>Of one job; made when first asked for.</summary>
    public JobShards Of(string job) => _jobs.GetOrAdd(job, key => new(key, plane));

    /// <summary>Bytes of all jobs on their way to other silos.</summary>
    public long BytesInFlight => _jobs.Values.Sum(job => job.BytesInFlight);

    public void Dispose()
    {
        foreach (var job in _jobs.Values)
        {
            job.Dispose();
        }
    }
}
