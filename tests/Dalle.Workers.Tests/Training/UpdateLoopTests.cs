using System.Diagnostics.Metrics;
using System.Net;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Training;
using Microsoft.Extensions.Time.Testing;
using TorchSharp;

namespace Dalle.Workers.Tests.Training;

public sealed class UpdateLoopTests : IDisposable
{
    private const TrainingStage Stage = TrainingStage.Prior;

    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-loop-").FullName);
    private readonly DeviceThread _device = new(torch.CPU, threads: 1);
    private readonly FakeTimeProvider _clock = new();
    private readonly StageRun _run = new(new("j", TrainingStage.DiscreteVae, 1, "0/0"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _run.Dispose();
        _device.Dispose();
        Directory.Delete(_store.Root, recursive: true);
    }

    [Fact]
    public async Task Loop_UpdatesInOrder_SavesAndEvaluatesOnSchedule_AndWritesTheResultOnce()
    {
        using var updates = new CountedUpdates(count: 20, evaluateEvery: 8);

        var reports = await Run(updates);

        Assert.Equal("from 0, saved 6, evaluated 8, saved 12, evaluated 16, saved 18, step 20, evaluated 20, done", Text(reports));
        Assert.Equal([.. Enumerable.Range(0, 20)], updates.Done);
        Assert.Equal(190, updates.Saved);
    }

    [Fact]
    public async Task Loop_WhoseLastUpdateIsOnSchedule_NeitherSavesNorEvaluatesTwice()
    {
        using var updates = new CountedUpdates(count: 12, evaluateEvery: 6);

        Assert.Equal("from 0, saved 6, evaluated 6, step 12, evaluated 12, done", Text(await Run(updates)));
    }

    [Theory]
    [InlineData(0, "from 0, saved 0, stopped")]
    [InlineData(4, "from 0, saved 4, stopped")]
    [InlineData(6, "from 0, saved 6, stopped")]
    [InlineData(9, "from 0, saved 6, saved 9, stopped")]
    public async Task Loop_AskedToStop_SavesAtTheStepBoundary_Once(int after, string expected)
    {
        using var updates = new CountedUpdates(count: 20, evaluateEvery: 100);
        StopAfter(updates, after);

        Assert.Equal(expected, Text(await Run(updates)));
        Assert.Equal(after, updates.Done.Count);
        Assert.Null(updates.Saved);
    }

    [Fact]
    public async Task Loop_FromACheckpoint_DoesTheOtherUpdates_AndEndsWithTheSameResult()
    {
        using var first = new CountedUpdates(count: 20, evaluateEvery: 8);
        StopAfter(first, 9);
        var stopped = await Run(first);
        using var rest = new CountedUpdates(count: 20, evaluateEvery: 8);
        using var run = new StageRun(new("j", TrainingStage.DiscreteVae, 1, "0/0"));

        var reports = await Run(rest, run, stopped.OfType<CheckpointReport>().Last().Checkpoint);

        Assert.Equal("from 9, saved 12, evaluated 16, saved 18, step 20, evaluated 20, done", Text(reports));
        Assert.Equal([.. Enumerable.Range(9, 11)], rest.Done);
        Assert.Equal(190, rest.Saved);
    }

    [Theory]
    [InlineData("altered", "state-0.safetensors': expected SHA-256")]
    [InlineData("cut off", "state-0.safetensors': expected")]
    [InlineData("no state", "state-0.safetensors': expected")]
    [InlineData("no manifest", "manifest.json': expected the manifest of a checkpoint, got no file")]
    public async Task Loop_FromADamagedCheckpoint_GoesOnFromTheOneBefore_AndEndsWithTheSameResult(string damage, string reason)
    {
        using var first = new CountedUpdates(count: 20, evaluateEvery: 100);
        StopAfter(first, 9);
        var checkpoint = (await Run(first)).OfType<CheckpointReport>().Last().Checkpoint;
        Damage(checkpoint, damage);
        using var rest = new CountedUpdates(count: 20, evaluateEvery: 100);
        using var run = new StageRun(new("j", TrainingStage.DiscreteVae, 1, "0/0"));

        var reports = await Run(rest, run, checkpoint);

        Assert.Equal("skipped 9, from 6, saved 12, saved 18, step 20, evaluated 20, done", Text(reports));
        Assert.Contains(reason, ((CheckpointSkipped)((ProgressReport)reports[0]).Event).Reason, StringComparison.Ordinal);
        Assert.Equal([.. Enumerable.Range(6, 14)], rest.Done);
        Assert.Equal(190, rest.Saved);
    }

    [Fact]
    public async Task Loop_WhoseCheckpointsAreAllDamaged_FailsWithTheReason()
    {
        using var first = new CountedUpdates(count: 20, evaluateEvery: 100);
        StopAfter(first, 9);
        var checkpoints = (await Run(first)).OfType<CheckpointReport>().Select(report => report.Checkpoint).ToArray();
        Array.ForEach(checkpoints, checkpoint => Damage(checkpoint, "altered"));
        using var rest = new CountedUpdates(count: 20, evaluateEvery: 100);
        using var run = new StageRun(new("j", TrainingStage.DiscreteVae, 1, "0/0"));

        var error = await Assert.ThrowsAsync<InvalidDataException>(() => Run(rest, run, checkpoints[^1]));

        Assert.Contains("expected SHA-256", error.Message, StringComparison.Ordinal);
        Assert.Empty(rest.Done);
    }

    [Fact]
    public async Task Loop_AskedToStopRightAfterItsCheckpoint_WritesNoOther()
    {
        using var first = new CountedUpdates(count: 20, evaluateEvery: 100);
        StopAfter(first, 6);
        var checkpoint = (await Run(first)).OfType<CheckpointReport>().Last().Checkpoint;
        using var rest = new CountedUpdates(count: 20, evaluateEvery: 100);
        using var run = new StageRun(new("j", TrainingStage.DiscreteVae, 1, "0/0"));
        run.Stop(StateKeeping.Checkpoint);

        Assert.Equal("from 6, stopped", Text(await Run(rest, run, checkpoint)));
    }

    [Fact]
    public async Task Loop_ReportsWhenAReportIsDue_WithTheSpeedSinceTheLast()
    {
        using var updates = new CountedUpdates(count: 10, evaluateEvery: 100) { Before = _ => _clock.Advance(TimeSpan.FromMilliseconds(100)) };

        await Run(updates);

        // Every 250 ms at 100 ms an update, and the last one.
        Assert.Equal([3, 6, 9], updates.Paces.Select(item => item.Step));
        Assert.All(updates.Paces, item => Assert.Equal(10, item.Pace.StepsPerSecond, 6));
        Assert.Equal([600, 300, 0], updates.Paces.Select(item => Math.Round(item.Pace.Remaining.TotalMilliseconds)));
    }

    [Fact]
    public async Task Loop_WhoseSamplesCannotBeRead_FailsWithTheReason_AfterTheUpdatesBefore()
    {
        using var updates = new CountedUpdates(count: 20, evaluateEvery: 100)
        {
            Reading = step => _ = step < 7 ? step : throw new InvalidDataException("sample 7 is damaged"),
        };

        var error = await Assert.ThrowsAsync<InvalidDataException>(() => Run(updates));

        Assert.Equal("sample 7 is damaged", error.Message);
        Assert.Equal([.. Enumerable.Range(0, 7)], updates.Done);
        Assert.Null(updates.Saved);
    }

    [Fact]
    public async Task Loop_MeasuresEveryUpdate()
    {
        var measured = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Meter.Name == TrainingInstruments.MeterName)
                {
                    listening.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
        {
            lock (measured)
            {
                measured.Add($"{instrument.Name} {string.Join(' ', tags.ToArray().Select(tag => tag.Value))}");
            }
        });
        listener.Start();
        using var updates = new CountedUpdates(count: 5, evaluateEvery: 100);
        using var run = new StageRun(new("measured", Stage, 1, "0/0"));

        run.Begin((begun, abort) => Loop(Context(begun, null, checkpointEvery: 6, job: "measured"), updates, abort));
        await run.Reports.ReadAllAsync(Token).CountAsync(Token);

        Assert.Equal(Enumerable.Repeat("dalle.training.update.duration measured Prior", 5), measured.Where(text => text.Contains(" measured ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Loop_Aborted_EndsWithoutACheckpoint_AndStopsReading()
    {
        var read = 0;
        using var updates = new CountedUpdates(count: 1_000_000, evaluateEvery: 1_000_000);
        var reached = new TaskCompletionSource();
        updates.Reading = _ => Interlocked.Increment(ref read);
        updates.Before = step => _ = step == 3 && reached.TrySetResult();
        _run.Begin((run, abort) => Loop(Context(run, null, checkpointEvery: 1_000_000), updates, abort));
        await reached.Task.WaitAsync(Token);

        await _run.Abort();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _run.Reports.ReadAllAsync(Token).CountAsync(Token).AsTask());
        Assert.Empty(_store.ListFolders("jobs/j/checkpoints/prior"));
        var after = Volatile.Read(ref read);
        Assert.InRange(after, 4, updates.Done.Count + 5);
        Assert.Null(updates.Saved);
    }

    private void Damage(CheckpointManifest checkpoint, string how)
    {
        var (state, manifest) = (_store.PathOf($"{checkpoint.Path}/state-0.safetensors"), _store.PathOf($"{checkpoint.Path}/manifest.json"));
        var bytes = File.ReadAllBytes(state);
        switch (how)
        {
            case "altered":
                // The last byte of the only tensor: no rule of the format is broken.
                bytes[^1] ^= 1;
                File.WriteAllBytes(state, bytes);
                break;
            case "cut off":
                File.WriteAllBytes(state, bytes[..^1]);
                break;
            case "no state":
                File.Delete(state);
                break;
            default:
                File.Delete(manifest);
                break;
        }
    }

    private void StopAfter(CountedUpdates updates, int steps)
    {
        if (steps == 0)
        {
            _run.Stop(StateKeeping.Checkpoint);
        }

        updates.Before = step =>
        {
            if (step == steps - 1)
            {
                _run.Stop(StateKeeping.Checkpoint);
            }
        };
    }

    private Task<List<WorkerReport>> Run(CountedUpdates updates) => Run(updates, _run, null);

    private async Task<List<WorkerReport>> Run(CountedUpdates updates, StageRun run, CheckpointManifest? checkpoint)
    {
        run.Begin((begun, abort) => Loop(Context(begun, checkpoint, checkpointEvery: 6), updates, abort));
        return await run.Reports.ReadAllAsync(Token).ToListAsync(Token);
    }

    private StageContext Context(StageRun run, CheckpointManifest? checkpoint, int checkpointEvery, string job = "j")
    {
        var spec = new TrainingSpec { Preset = "test", Dataset = "scenes", Model = "m", CheckpointEvery = checkpointEvery, ThreadsPerWorker = 1 };
        return new(new() { Epoch = 1, Stage = Stage, Spec = spec, Checkpoint = checkpoint, Placement = SingleHost.Placement() }, SingleHost.Key(job), new JobFolder(_store, job), SingleHost.Shards(job), _device, SingleHost.Instruments, _clock, run);
    }

    private static async Task<WorkerReport> Loop(StageContext context, CountedUpdates updates, CancellationToken abort)
    {
        var grid = new WorkerGrid(1, 1, [new(new("silo", new(IPAddress.Loopback, 1)), 0, 1, 0, 1)], own: 0);
        using var workers = new HostedWorkers<int>(context, updates, grid, new(new(CountedUpdates.Declaration, 1), 0, 1), new(Rank: 0), abort);
        return await new UpdateLoop<int>(context, updates, workers).Run(abort);
    }

    private static string Text(IEnumerable<WorkerReport> reports) => string.Join(", ", reports.Select(report => report switch
    {
        ProgressReport { Event: StageStarted started } => $"from {started.FromStep}",
        ProgressReport { Event: PriorStepCompleted step } => $"step {step.Step}",
        ProgressReport { Event: DiscreteVaeEvaluated evaluated } => $"evaluated {evaluated.Step}",
        ProgressReport { Event: CheckpointSkipped skipped } => $"skipped {skipped.Checkpoint.Step}",
        CheckpointReport saved => $"saved {saved.Checkpoint.Step}",
        DoneReport => "done",
        StoppedReport => "stopped",
        _ => report.ToString(),
    }));
}
