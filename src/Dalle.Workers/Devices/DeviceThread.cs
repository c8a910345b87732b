using System.Threading.Channels;
using Dalle.Model.Native;
using static TorchSharp.torch;

namespace Dalle.Workers.Devices;

/// <summary>
/// The one owner of a device: a thread that does its jobs in order, each in a dispose scope of its own. Compute never runs on a grain's turn or on the
/// thread pool, so neither heartbeats nor other grains wait for it.
/// </summary>
/// <remarks>Thread-safe. What the caller awaits continues on the caller's own scheduler, never on this thread.</remarks>
public sealed class DeviceThread : IDisposable
{
    private readonly Channel<DeviceJob> _jobs;
    private readonly Thread _thread;
    private volatile bool _closing;
    private int _threads;

    /// <summary>Starts the thread.</summary>
    /// <param name="device">The device it owns.</param>
    /// <param name="threads">libtorch threads of a job that does not say; at least 1.</param>
    /// <param name="capacity">Jobs that may wait; further callers wait for a place.</param>
    public DeviceThread(Device device, int threads, int capacity = 64)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        (Device, Threads) = (device, threads);
        _jobs = Channel.CreateBounded<DeviceJob>(new BoundedChannelOptions(capacity) { SingleReader = true });
        _thread = new Thread(Work) { IsBackground = true, Name = $"device {device}" };
        _thread.Start();
    }

    /// <summary>The device.</summary>
    public Device Device { get; }

    /// <summary>libtorch threads of a job that does not say.</summary>
    public int Threads { get; }

    /// <summary>Whether the thread was told to end.</summary>
    internal bool Closing => _closing;

    /// <summary>Jobs waiting.</summary>
    public int Waiting => _jobs.Reader.Count;

    /// <summary>Runs work inside one dispose scope, in order, on the device's thread. The result must not hold tensors of that scope.</summary>
    /// <param name="work">Runs to its end once begun; long work looks at the token itself.</param>
    /// <param name="cancellationToken">Takes the job out of the queue.</param>
    /// <exception cref="ObjectDisposedException">The device was closed before the job began.</exception>
    public Task<T> Run<T>(Func<Device, T> work, CancellationToken cancellationToken = default) => Run(Threads, work, cancellationToken);

    /// <summary>As <see cref="Run{T}(Func{Device, T}, CancellationToken)"/>, with this many libtorch threads: they decide roundings, so a training job brings its own count.</summary>
    public async Task<T> Run<T>(int threads, Func<Device, T> work, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        var job = new DeviceJob<T>(threads, work);
        using var leaving = cancellationToken.Register(() => job.Cancel(cancellationToken));
        try
        {
            await _jobs.Writer.WriteAsync(job, cancellationToken);
        }
        catch (ChannelClosedException)
        {
            job.Close(Device);
        }

        return await job.Result;
    }

    /// <summary>Work without a result; see <see cref="Run{T}(Func{Device, T}, CancellationToken)"/>.</summary>
    public Task Run(Action<Device> work, CancellationToken cancellationToken = default) => Run(
        device =>
        {
            work(device);
            return true;
        },
        cancellationToken);

    /// <summary>Not callable: dispose scopes belong to a thread, so device work must not await.</summary>
    [Obsolete("Device work runs on one thread from begin to end: await between Run calls, never inside one.", error: true)]
    public Task<T> Run<T>(Func<Device, Task<T>> work, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Not callable: dispose scopes belong to a thread, so device work must not await.</summary>
    [Obsolete("Device work runs on one thread from begin to end: await between Run calls, never inside one.", error: true)]
    public Task Run(Func<Device, Task> work, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Lets the running job end, gives up the waiting ones, and ends the thread.</summary>
    public void Dispose()
    {
        if (!_jobs.Writer.TryComplete())
        {
            return;
        }

        _closing = true;
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }
    }

    private void Work()
    {
        while (_jobs.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_jobs.Reader.TryRead(out var job))
            {
                if (_closing)
                {
                    job.Close(Device);
                }
                else
                {
                    Begin(job);
                }
            }
        }
    }

    private void Begin(DeviceJob job)
    {
        if (job.Threads != _threads)
        {
            TorchRuntime.UseThreads(job.Threads);
            _threads = job.Threads;
        }

        job.Run(Device);
    }
}
