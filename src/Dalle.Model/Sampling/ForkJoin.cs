using System.Runtime.ExceptionServices;

namespace Dalle.Model.Sampling;

/// <summary>
/// Runs one piece of work on several threads at once and waits for all of them, hundreds of times a millisecond: its threads spin for a while
/// between pieces and sleep only when none comes.
/// </summary>
/// <remarks>Called from one thread at a time, which takes part as thread 0.</remarks>
internal sealed class ForkJoin : IDisposable
{
    private const int SpinsBeforeSleep = 2000;

    private readonly Lock _runs = new();
    private readonly object _sleep = new();
    private readonly Thread[] _threads;
    private Action<int> _work = static _ => { };
    private Exception? _failure;
    private int _round;
    private int _unfinished;
    private int _sleeping;
    private bool _stopping;

    /// <param name="threads">Threads in all, the caller's included; at least 1.</param>
    public ForkJoin(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        _threads = new Thread[threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var index = i + 1;
            _threads[i] = new Thread(() => Serve(index)) { IsBackground = true, Name = $"decode {index}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads in all.</summary>
    public int Threads { get; }

    /// <summary>Runs the work once on every thread, with the thread's number, and returns when all are done.</summary>
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
            _unfinished = _threads.Length;
            Interlocked.Increment(ref _round);
            if (Volatile.Read(ref _sleeping) > 0)
            {
                lock (_sleep)
                {
                    Monitor.PulseAll(_sleep);
                }
            }

            Attempt(work, 0);
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

    /// <summary>The part of a count that falls to a thread, all parts being as equal as can be.</summary>
    public (int Start, int End) Share(int count, int thread) => ((int)((long)count * thread / Threads), (int)((long)count * (thread + 1) / Threads));

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

    private void Serve(int index)
    {
        var seen = 0;
        while (Await(seen))
        {
            seen++;
            Attempt(_work, index);
            Interlocked.Decrement(ref _unfinished);
        }
    }

    /// <summary>Waits for the round after the one seen; false when there will be none.</summary>
    private bool Await(int seen)
    {
        for (var spins = 0; spins < SpinsBeforeSleep; spins++)
        {
            if (Volatile.Read(ref _round) != seen)
            {
                return true;
            }

            Thread.SpinWait(8);
        }

        lock (_sleep)
        {
            // Announced before the round is looked at, so that Run either sees the sleeper or the sleeper sees the round.
            Interlocked.Increment(ref _sleeping);
            while (Volatile.Read(ref _round) == seen && !_stopping)
            {
                Monitor.Wait(_sleep);
            }

            Interlocked.Decrement(ref _sleeping);
            return Volatile.Read(ref _round) != seen;
        }
    }

    private void Attempt(Action<int> work, int index)
    {
        try
        {
            work(index);
        }
        catch (Exception error)
        {
            // Rethrown by Run: on its own thread it would end the process.
            Interlocked.CompareExchange(ref _failure, error, null);
        }
    }
}
