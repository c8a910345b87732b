using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Training;

/// <summary>What a worker does, told by the test: that of a job, or where several silos run a stage, that of each.</summary>
public sealed class WorkerScript
{
    private readonly Channel<Func<WorkerReport>> _lines = Channel.CreateUnbounded<Func<WorkerReport>>();
    private readonly Channel<StageLease> _leases = Channel.CreateUnbounded<StageLease>();
    private readonly Channel<long> _letGo = Channel.CreateUnbounded<long>();
    private readonly Channel<(long Epoch, StateKeeping Keep)> _stops = Channel.CreateUnbounded<(long Epoch, StateKeeping Keep)>();
    private int _discardsToFail;

    /// <summary>Leases that the worker was given, in order.</summary>
    public ConcurrentQueue<StageLease> Leases { get; } = [];

    /// <summary>Silo that took the newest lease.</summary>
    public SiloAddress? Silo { get; private set; }

    /// <summary>What the worker says when it is asked to stop, before it says that it has.</summary>
    public WorkerReport[] LastWords { get; set; } = [];

    /// <summary>What a silo of the job does that is to open a lease ahead. Of the job's own script alone: the silo is new.</summary>
    public Func<string, StageLease, Task> Prepare { get; set; } = (_, _) => Task.CompletedTask;

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

    /// <summary>Lets the worker be out of reach next, as it is while its silo is gone and the cluster still counts on it.</summary>
    public void BeOutOfReach() => _lines.Writer.TryWrite(() => throw (Exception)Activator.CreateInstance(
        typeof(OrleansMessageRejectionException), BindingFlags.Instance | BindingFlags.NonPublic, null, ["Unable to connect"], CultureInfo.InvariantCulture)!);

    /// <summary>The next lease that the worker is given, once it is.</summary>
    public ValueTask<StageLease> NextLease(CancellationToken cancellationToken) => _leases.Reader.ReadAsync(cancellationToken);

    /// <summary>As <see cref="NextLease"/>, if it is there already.</summary>
    public bool TryNextLease(out StageLease? lease) => _leases.Reader.TryRead(out lease);

    /// <summary>The next stop that the worker is asked for.</summary>
    public ValueTask<(long Epoch, StateKeeping Keep)> NextStop(CancellationToken cancellationToken) => _stops.Reader.ReadAsync(cancellationToken);

    /// <summary>Stops that the worker was asked for and that nobody has taken.</summary>
    public int Stops => _stops.Reader.Count;

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

    internal void Stop(long epoch, StateKeeping keep) => _stops.Writer.TryWrite((epoch, keep));

    internal void Discard()
    {
        if (Interlocked.Exchange(ref _discardsToFail, 0) == 1)
        {
            throw new IOException("The folder is in use.");
        }

        Discarded.TrySetResult();
    }
}

/// <summary>One of the silos that run a stage of a job together: what its worker does, and what it says of itself.</summary>
public sealed class ScriptedHost
{
    /// <summary>Its part of the stage.</summary>
    public WorkerScript Worker { get; } = new();

    /// <summary>What it keeps of the job in memory.</summary>
    public IReadOnlyList<ShardSnapshot> Snapshots { get; set; } = [];

    /// <summary>Whether it leaves the cluster.</summary>
    public bool Leaving { get; set; }

    /// <summary>Whether it is gone: it answers no question.</summary>
    public bool Gone { get; set; }

    /// <summary>Completed once it has let go of what it keeps.</summary>
    public TaskCompletionSource Released { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>The scripts of all tests; the cluster's silos run in this process.</summary>
public static class WorkerScripts
{
    private static readonly ConcurrentDictionary<string, WorkerScript> All = new();
    private static readonly ConcurrentDictionary<JobSilo, ScriptedHost> Hosts = new();

    public static WorkerScript Of(string jobId) => All.GetOrAdd(jobId, _ => new());

    public static ScriptedHost Of(JobSilo host) => Hosts.GetOrAdd(host, _ => new());

    /// <summary>The script of a lease on a silo: the job's, unless several silos run it.</summary>
    public static WorkerScript Of(JobSilo host, StageLease lease) =>
        lease.Stage.Trains() && lease.Placement.Hosts.Count > 1 ? Of(host).Worker : Of(host.Job);

    /// <summary>Jobs that have had their newest lease on a silo.</summary>
    public static int On(string silo) => All.Values.Count(script => script.Silo?.ToParsableString() == silo);
}

/// <summary>A worker that computes nothing and says what its script says. It keeps the contract of leases and stops.</summary>
[SiloPlacement]
public sealed class ScriptedWorkerGrain(ILocalSiloDetails silo) : Grain, IWorkerGrain
{
    private TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WorkerScript? _script;
    private long _epoch;
    private long _stopped;

    private JobSilo Key => JobSilo.Parse(this.GetPrimaryKeyString());

    private WorkerScript OfJob => WorkerScripts.Of(Key.Job);

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

        var script = _script = WorkerScripts.Of(Key, lease);
        script.Begin(lease, silo.SiloAddress);
        var ended = false;
        try
        {
            while (!ended)
            {
                var line = script.Lines.WaitToReadAsync(cancellationToken).AsTask();
                if (await Task.WhenAny(line, stop.Task) == stop.Task)
                {
                    break;
                }

                await line;
                if (script.Lines.TryRead(out var next))
                {
                    ended = true;
                    var report = next();
                    ended = report is DoneReport or FailedReport or StoppedReport or PeerLostReport;
                    yield return report;
                }
            }

            if (!ended)
            {
                foreach (var report in script.LastWords)
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
                script.LetGo(lease.Epoch);
            }
        }
    }

    public Task Prepare(StageLease lease, CancellationToken cancellationToken = default) => OfJob.Prepare(Key.Silo, lease);

    public Task Stop(long epoch, StateKeeping keep = StateKeeping.Checkpoint, CancellationToken cancellationToken = default)
    {
        _stopped = Math.Max(_stopped, epoch);
        if (_epoch <= _stopped)
        {
            _stop.TrySetResult();
        }

        (_script ?? OfJob).Stop(epoch, keep);
        return Task.CompletedTask;
    }

    public Task Discard(CancellationToken cancellationToken = default)
    {
        OfJob.Discard();
        return Task.CompletedTask;
    }
}
