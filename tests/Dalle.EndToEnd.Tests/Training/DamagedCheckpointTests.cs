using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>A checkpoint that the disk has not kept as it was written.</summary>
public sealed class DamagedCheckpointTests(UndisturbedRun undisturbed) : IDisposable
{
    private static readonly Dictionary<string, Action<string>> Damages = new()
    {
        ["cut off"] = CutOff,
        ["altered"] = Alter,
        ["without a manifest"] = checkpoint => File.Delete(Path.Combine(checkpoint, "manifest.json")),
    };

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("cut off")]
    [InlineData("altered")]
    [InlineData("without a manifest")]
    public async Task NewestDamaged_GoesOnFromTheOneBefore_ToTheSameBytes(string damage)
    {
        var checkpoints = await StopWithCheckpoints();
        Damages[damage](checkpoints[^1]);

        await using var silo = await SiloProcess.Start(_folder.FullName);
        var events = await silo.Watch(UndisturbedRun.Job, next => next is StageStarted);
        var model = await silo.Finish(UndisturbedRun.Job);
        var result = await silo.End(Signal.Terminate);

        var (skipped, resumed) = (Assert.Single(events.OfType<CheckpointSkipped>()), (StageStarted)events[^1]);
        Assert.Equal(2, checkpoints.Length);
        Assert.Equal([$"step-{resumed.FromStep:d8}", $"step-{skipped.Checkpoint.Step:d8}"], checkpoints.Select(Path.GetFileName));
        Assert.Contains($"the checkpoint of DiscreteVae after {skipped.Checkpoint.Step} updates cannot be read", result.Error, StringComparison.Ordinal);
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    [Fact]
    public async Task AllDamaged_FailsTheJob_AndSaysWhatToDo()
    {
        var checkpoints = await StopWithCheckpoints();
        CutOff(checkpoints[0]);
        Alter(checkpoints[1]);

        await using var silo = await SiloProcess.Start(_folder.FullName);
        var events = await silo.Watch(UndisturbedRun.Job, next => next is PhaseChanged { Phase: TrainingPhase.Failed });

        Assert.Equal(2, events.OfType<CheckpointSkipped>().Count());
        var reason = ((PhaseChanged)events[^1]).Reason;
        Assert.StartsWith("Neither the newest checkpoint of stage DiscreteVae can be read nor an older one.", reason, StringComparison.Ordinal);
        Assert.EndsWith("Put a copy back and resume the job, or start a new one.", reason, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Runs the job into its first stage and stops it in order.</summary>
    /// <returns>The folders of its checkpoints, the newest last.</returns>
    private async Task<string[]> StopWithCheckpoints()
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, TestContext.Current.CancellationToken);
        await silo.Watch(UndisturbedRun.Job, next => next is CheckpointWritten { Checkpoint.Step: >= 14 });
        await silo.End(Signal.Terminate);
        return [.. Directory.GetDirectories(Path.Combine(_folder.FullName, "artifacts", "jobs", UndisturbedRun.Job, "checkpoints", "discretevae")).Order(StringComparer.Ordinal)];
    }

    private static void CutOff(string checkpoint)
    {
        using var state = new FileStream(Path.Combine(checkpoint, "state-0.safetensors"), FileMode.Open);
        state.SetLength(state.Length / 2);
    }

    /// <summary>Flips a bit in the middle, among the numbers: no rule of the file's format is broken.</summary>
    private static void Alter(string checkpoint)
    {
        using var state = new FileStream(Path.Combine(checkpoint, "state-0.safetensors"), FileMode.Open);
        state.Position = state.Length / 2;
        var old = state.ReadByte();
        state.Position--;
        state.WriteByte((byte)(old ^ 1));
    }
}
