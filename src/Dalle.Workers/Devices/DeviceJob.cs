using static TorchSharp.torch;

namespace Dalle.Workers.Devices;

/// <summary>A piece of work in a device's queue. Ends exactly once: with a result, an error, cancelled, or given up.</summary>
internal abstract class DeviceJob(int threads)
{
    /// <summary>libtorch threads it computes with.</summary>
    public int Threads { get; } = threads;

    /// <summary>Does the work in a dispose scope of its own, unless it has ended before.</summary>
    public abstract void Run(Device device);

    /// <summary>Ends the job because its device is closed.</summary>
    public abstract void Close(Device device);
}

/// <inheritdoc cref="DeviceJob"/>
internal sealed class DeviceJob<T>(int threads, Func<Device, T> work) : DeviceJob(threads)
{
    private readonly TaskCompletionSource<T> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _begun;

    /// <summary>What the caller awaits.</summary>
    public Task<T> Result => _result.Task;

    public override void Run(Device device)
    {
        if (Interlocked.Exchange(ref _begun, 1) != 0)
        {
            return;
        }

        try
        {
            _result.SetResult(Scoped(device));
        }
        catch (OperationCanceledException cancelled)
        {
            _result.SetCanceled(cancelled.CancellationToken);
        }
        catch (Exception error)
        {
            _result.SetException(error);
        }
    }

    // The scope ends before the caller hears of the result: what it goes on with must not find the job's tensors alive.
    private T Scoped(Device device)
    {
        using var scope = NewDisposeScope();
        return work(device);
    }

    /// <summary>Ends a job that has not begun; one that has runs on.</summary>
    public void Cancel(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _begun, 1) == 0)
        {
            _result.SetCanceled(cancellationToken);
        }
    }

    public override void Close(Device device)
    {
        if (Interlocked.Exchange(ref _begun, 1) == 0)
        {
            _result.SetException(new ObjectDisposedException(nameof(DeviceThread), $"Device {device} was closed before this job began."));
        }
    }
}
