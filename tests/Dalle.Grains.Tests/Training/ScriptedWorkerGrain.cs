using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Training;

/// <summary>What the worker of a job does, told by the test; one script per job.</summary>
public sealed class WorkerScript
{
    private readonly Channel<Func<WorkerReport>> _lines = Channel.CreateUnbounded<Func<WorkerReport>>();
    private readonly Channel<StageLease> _leases = Channel.CreateUnbounded<StageLease>();
    private readonly Channel<long> _letGo = Channel.CreateUnbounded<long>();
    private readonly Channel<long> _stops = Channel.CreateUnbounded<long>();
    private int _discardsToFail;

    /// <summary>Leases that the worker was given, in order.</summary>
    public ConcurrentQueue<StageLease> Leases { get; } = [];

    /// <summary>Silo that took the newest lease.</summary>
    public SiloAddress? Silo { get; private set; }

    /// <summary>What the worker says when it is asked to stop, before it says that it has.</summary>
    public WorkerReport[] LastWords { get; set; } = [];

    /// <summary>Completed once the job's working files were given up.</summary>
    public TaskCompletionSource Discarded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Lets the worker say this next.</summary>
    public void Say(params WorkerReport[] reports)
    {
        foreach (var report in reports)
        {
            _lines.Writer.TryWrite(() => report);
        }
    }

    /// <summary>Lets the worker break down next.</summary>
    public void Break(string reason) => _lines.Writer.TryWrite(() => throw new SiloUnavailableException(reason));

    /// <summary>The next lease that the worker is given, once it is.</summary>
    public ValueTask<StageLease> NextLease(CancellationToken cancellationToken) => _leases.Reader.ReadAsync(cancellationToken);

    /// <summary>As <see cref="NextLease"/>, if it is there already.</summary>
    public bool TryNextLease(out StageLease? lease) => _leases.Reader.TryRead(out lease);

    /// <summary>Epoch of the next stop that the worker is asked for.</summary>
    public ValueTask<long> NextStop(CancellationToken cancellationToken) => _stops.Reader.ReadAsync(cancellationToken);

    /// <summary>Lets the working files stay, once.</summary>
    public void FailNextDiscard() => _discardsToFail = 1;

    /// <summary>Epoch of the next run that ends without a last report because its job has left it.</summary>
    public ValueTask<long> NextLetGo(CancellationToken cancellationToken) => _letGo.Reader.ReadAsync(cancellationToken);

    internal ChannelReader<Func<WorkerReport>> Lines => _lines.Reader;

    internal void Begin(StageLease lease, SiloAddress silo)
    {
        Silo = silo;
        Leases.Enqueue(lease);
        _leases.Writer.TryWrite(lease);
    }

    internal void LetGo(long epoch) => _letGo.Writer.TryWrite(epoch);

    internal void Stop(long epoch) => _stops.Writer.TryWrite(epoch);

    internal void Discard()
    {
        if (Interlocked.Exchange(ref _discardsToFail, 0) == 1)
        {
            throw new IOException("The folder is in use.");
        }

        Discarded.TrySetResult();
    }
}

/// <summary>The scripts of all tests; the cluster's silos run in this process.</summary>
public static class WorkerScripts
{
    private static readonly ConcurrentDictionary<string, WorkerScript> All = new();

    public static WorkerScript Of(string jobId) => All.GetOrAdd(jobId, _ => new());

    /// <summary>Jobs that have had their newest lease on a silo.</summary>
    public static int On(string silo) => All.Values.Count(script => script.Silo?.ToParsableString() == silo);
}

/// <summary>A worker that computes nothing and says what its script says. It keeps the contract of leases and stops.</summary>
[SiloPlacement]
public sealed class ScriptedWorkerGrain(ILocalSiloDetails silo) : Grain, IWorkerGrain
{
    private TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _epoch;
    private long _stopped;

    private WorkerScript Script => WorkerScripts.Of(JobSilo.Parse(this.GetPrimaryKeyString()).Job);

    public async IAsyncEnumerable<WorkerReport> Run(StageLease lease, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (lease.Epoch < _epoch)
        {
            throw new StaleLeaseException(lease.Epoch, _epoch);
        }

        _epoch = lease.Epoch;
        var stop = _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_stopped >= lease.Epoch)
        {
            stop.SetResult();
        }

        Script.Begin(lease, silo.SiloAddress);
        var ended = false;
        try
        {
            while (!ended)
            {
                var line = Script.Lines.WaitToReadAsync(cancellationToken).AsTask();
                if (await Task.WhenAny(line, stop.Task) == stop.Task)
                {
                    break;
                }

                await line;
                if (Script.Lines.TryRead(out var next))
                {
                    ended = true;
                    var report = next();
                    ended = report is DoneReport or FailedReport or StoppedReport;
                    yield return report;
                }
            }

            if (!ended)
            {
                foreach (var report in Script.LastWords)
                {
                    yield return report;
                }

                ended = true;
                yield return new StoppedReport();
            }
        }
        finally
        {
            if (!ended)
            {
                Script.LetGo(lease.Epoch);
            }
        }
    }

    public Task Prepare(StageLease lease, CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task Stop(long epoch, StateKeeping keep = StateKeeping.Checkpoint, CancellationToken cancellationToken = default)
    {
        _stopped = Math.Max(_stopped, epoch);
        if (_epoch <= _stopped)
        {
            _stop.TrySetResult();
        }

        Script.Stop(epoch);
        return Task.CompletedTask;
    }

    public Task Discard(CancellationToken cancellationToken = default)
    {
        Script.Discard();
        return Task.CompletedTask;
    }
}
