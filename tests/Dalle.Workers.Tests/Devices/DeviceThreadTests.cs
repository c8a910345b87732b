using Dalle.Workers.Devices;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Workers.Tests.Devices;

public sealed class DeviceThreadTests : IDisposable
{
    private readonly DeviceThread _device = new(CPU, threads: 1, capacity: 4);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _device.Dispose();

    [Fact]
    public async Task Run_ManyJobs_DoesThemInOrderOnOneThreadOfItsOwn()
    {
        var order = new List<int>();
        var threads = new HashSet<Thread>();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => _device.Run(
            _ =>
            {
                order.Add(i);
                threads.Add(Thread.CurrentThread);
            },
            Token)));
        Assert.Equal(Enumerable.Range(0, 20), order);
        Assert.False(Assert.Single(threads).IsThreadPoolThread);
    }

    [Fact]
    public async Task Run_TensorLeftBehind_IsDisposedWithTheJob()
    {
        var left = await _device.Run(device => new Left(ones(3, device: device)), Token);
        Assert.True(left.Tensor.IsInvalid);
    }

    [Fact]
    public async Task Run_WithItsOwnThreadCount_ComputesWithIt()
    {
        var counts = new[]
        {
            await _device.Run(_ => get_num_threads(), Token),
            await _device.Run(2, _ => get_num_threads(), Token),
            await _device.Run(_ => get_num_threads(), Token),
        };
        Assert.Equal([1, 2, 1], counts);
    }

    [Fact]
    public async Task Run_WorkThrows_TheCallerGetsItAndTheThreadGoesOn()
    {
        var error = await Assert.ThrowsAsync<ArithmeticException>(() => _device.Run(_ => Check(float.NaN), Token));
        Assert.Equal("loss is NaN", error.Message);
        Assert.Equal(7, await _device.Run(_ => 7, Token));
    }

    [Fact]
    public async Task Run_TorchRefuses_TheCallerGetsIt()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => _device.Run(_ => ones(2, 3).mul(ones(2, 4)).sum().item<float>(), Token));
    }

    [Fact]
    public async Task Run_CancelledWhileWaiting_EndsAtOnceAndNeverRuns()
    {
        using var gate = new ManualResetEventSlim();
        using var leave = new CancellationTokenSource();
        var ran = false;
        var running = _device.Run(_ => gate.Wait(Token), Token);
        var waiting = _device.Run(_ => { ran = true; }, leave.Token);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        gate.Set();
        await running;
        await _device.Run(_ => { }, Token);
        Assert.False(ran);
    }

    [Fact]
    public async Task Run_QueueFull_WaitsForAPlace()
    {
        using var gate = new ManualResetEventSlim();
        using var begun = new ManualResetEventSlim();
        var running = _device.Run(
            _ =>
            {
                begun.Set();
                gate.Wait(Token);
            },
            Token);
        begun.Wait(Token);
        var jobs = Enumerable.Range(0, 6).Select(i => _device.Run(_ => i, Token)).ToList();
        Assert.Equal(4, _device.Waiting);
        gate.Set();
        await running;
        var results = await Task.WhenAll(jobs);
        Assert.Equal([0, 1, 2, 3, 4, 5], results);
    }

    [Fact]
    public async Task Run_AfterAnAwait_ContinuesOffTheDevicesThread()
    {
        var device = await _device.Run(_ => Thread.CurrentThread, Token);
        Assert.NotSame(device, Thread.CurrentThread);
    }

    [Fact]
    public async Task Dispose_WhileJobsWait_LetsTheRunningOneEndAndGivesUpTheRest()
    {
        using var begun = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        var running = _device.Run(
            _ =>
            {
                begun.Set();
                gate.Wait(Token);
                return 1;
            },
            Token);
        var waiting = _device.Run(_ => 2, Token);
        begun.Wait(Token);
        var disposal = Task.Run(_device.Dispose, Token);
        Assert.False(disposal.IsCompleted);
        while (!_device.Closing)
        {
            await Task.Yield();
        }

        gate.Set();
        await disposal;
        Assert.Equal(1, await running);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _device.Run(_ => 3, Token));
    }

    private static float Check(float loss) => float.IsFinite(loss) ? loss : throw new ArithmeticException($"loss is {loss}");

    private sealed record Left(Tensor Tensor);
}
