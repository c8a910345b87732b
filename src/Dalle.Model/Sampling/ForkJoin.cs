using System.Runtime.ExceptionServices;

namespace Dalle.Model.Sampling;

/// <summary>
/// Runs one piece of work in parts on several threads and waits for all of them, hundreds of times a millisecond: its threads spin for a while between
/// pieces and sleep only when none comes. Whoever is free takes the next part, so that a thread that has to share its core holds up no more than the part
/// it is at.
/// </summary>
/// <remarks>Called from one thread at a time, which takes part.</remarks>
internal sealed class ForkJoin : IDisposable
{
    private const int SpinsBeforeSleep = 2000;

    /// <summary>
    /// Longer than pieces are apart that follow each other at once, shorter than the pause between two tokens: then whatever else waits for this core has its turn. Without
    /// that it would wait for the end of a time slice, milliseconds, at every step of telling what was sampled.
    /// </summary>
    private const int SpinsBeforeYield = 20;

    /// <summary>Parts for each thread: enough to even out what other work takes from one of them, few enough to cost nothing.</summary>
    private const int PartsPerThread = 2;

    private readonly Lock _runs = new();
    private readonly object _sleep = new();
    private readonly Thread[] _threads;
    private Action<int> _work = static _ => { };
    private Exception? _failure;

    // The number of the round in the upper half, of its next part in the lower: a thread that comes late cannot take a part of another round for one of its own.
    private long _next;
    private int _unfinished;
    private int _sleeping;
    private bool _stopping;

    /// <param name="threads">Threads in all, the caller's included; at least 1.</param>
    public ForkJoin(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Parts = threads == 1 ? 1 : threads * PartsPerThread;
        _next = Parts;
        _threads = new Thread[threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Serve) { IsBackground = true, Name = $"decode {i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>Parts of a piece of work; no two run on one thread at the same time.</summary>
    public int Parts { get; }

    /// <summary>Runs the work once for every part, with the part's number, and returns when all are done.</summary>
    public void Run(Action<int> work)
    {
        if (_threads.Length == 0)
        {
            work(0);
            return;
        }

        lock (_runs)
        {
            _work = work;
            _unfinished = Parts;
            Interlocked.Exchange(ref _next, ((_next >> 32) + 1) << 32);
            if (Volatile.Read(ref _sleeping) > 0)
            {
                lock (_sleep)
                {
                    Monitor.PulseAll(_sleep);
                }
            }

            TakeParts();
            var spin = default(SpinWait);
            while (Volatile.Read(ref _unfinished) > 0)
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }

            if (Interlocked.Exchange(ref _failure, null) is { } failure)
            {
                ExceptionDispatchInfo.Throw(failure);
            }
        }
    }

    /// <summary>What of a count falls to a part, all parts being as equal as can be.</summary>
    public (int Start, int End) Share(int count, int part) => ((int)((long)count * part / Parts), (int)((long)count * (part + 1) / Parts));

    public void Dispose()
    {
        lock (_sleep)
        {
            _stopping = true;
            Monitor.PulseAll(_sleep);
        }

        foreach (var thread in _threads)
        {
            thread.Join();
        }
    }

    private void Serve()
    {
        while (Await())
        {
            TakeParts();
        }
    }

    /// <summary>Runs parts of the present round until none is left.</summary>
    private void TakeParts()
    {
        for (var next = Volatile.Read(ref _next); (int)next < Parts;)
        {
            var seen = Interlocked.CompareExchange(ref _next, next + 1, next);
            if (seen != next)
            {
                next = seen;
                continue;
            }

            // The round cannot end before this part does, so the work is this round's.
            Attempt(_work, (int)next);
            Interlocked.Decrement(ref _unfinished);
            next = Volatile.Read(ref _next);
        }
    }

    /// <summary>Waits for parts that no one has taken; false when there will be none.</summary>
    private bool Await()
    {
        for (var spins = 0; spins < SpinsBeforeSleep; spins++)
        {
            if (AnyPart())
            {
                return true;
            }

            if (spins == SpinsBeforeYield)
            {
                Thread.Yield();
            }

            Thread.SpinWait(8);
        }

        lock (_sleep)
        {
            // Announced before the parts are looked at, so that Run either sees the sleeper or the sleeper sees the parts.
            Interlocked.Increment(ref _sleeping);
            while (!AnyPart() && !_stopping)
            {
                Monitor.Wait(_sleep);
            }

            Interlocked.Decrement(ref _sleeping);
            return !_stopping;
        }
    }

    private bool AnyPart() => (int)Volatile.Read(ref _next) < Parts;

    private void Attempt(Action<int> work, int part)
    {
        try
        {
            work(part);
        }
        catch (Exception error)
        {
            // Rethrown by Run: on its own thread it would end the process.
            Interlocked.CompareExchange(ref _failure, error, null);
        }
    }
}
