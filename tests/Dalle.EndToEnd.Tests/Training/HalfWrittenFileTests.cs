using System.Globalization;
using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>Silos killed in the middle of a file: of a checkpoint, of the token cache, of the published weights.</summary>
public sealed class HalfWrittenFileTests(UndisturbedRun undisturbed) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task KilledInTheMiddleOfAFile_DoesItAgain_ToTheSameBytes()
    {
        var saved = await StopWithACheckpoint();
        var next = ((saved / UndisturbedRun.Spec.CheckpointEvery) + 1) * UndisturbedRun.Spec.CheckpointEvery;

        await KillWithin(string.Create(CultureInfo.InvariantCulture, $"jobs/{UndisturbedRun.Job}/checkpoints/discretevae/step-{next:d8}/state-0.safetensors"));
        var resumed = await KillWithin($"jobs/{UndisturbedRun.Job}/tokens.bin");
        var published = await KillWithin($"models/{UndisturbedRun.Spec.Model}/{UndisturbedRun.Job}/prior.safetensors");
        await using var silo = await SiloProcess.Start(_folder.FullName);
        var last = await silo.Watch(UndisturbedRun.Job, item => item is PhaseChanged { Phase: TrainingPhase.Completed });
        var model = await silo.Finish(UndisturbedRun.Job);

        var started = resumed.OfType<StageStarted>().First();
        Assert.Equal((TrainingStage.DiscreteVae, saved), (started.Stage, started.FromStep));
        Assert.Equal([TrainingStage.DiscreteVae], resumed.OfType<StageCompleted>().Select(stage => stage.Stage));
        Assert.Equal([TrainingStage.Encode, TrainingStage.Prior, TrainingStage.Reranker], published.OfType<StageCompleted>().Select(stage => stage.Stage));
        Assert.Equal([TrainingStage.Publish], last.OfType<StageCompleted>().Select(stage => stage.Stage));
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Runs the job into its first stage and stops it in order.</summary>
    /// <returns>The update of its newest checkpoint.</returns>
    private async Task<int> StopWithACheckpoint()
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, Token);
        await silo.Watch(UndisturbedRun.Job, item => item is CheckpointWritten);
        await silo.End(Signal.Terminate);
        return Directory.EnumerateDirectories(Artifact($"jobs/{UndisturbedRun.Job}/checkpoints/discretevae"))
            .Max(folder => int.Parse(folder[(folder.LastIndexOf('-') + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>Runs a silo until it has half written a file of the artifact store, and kills it there.</summary>
    /// <returns>The events up to then.</returns>
    private async Task<IReadOnlyList<TrainingEvent>> KillWithin(string key)
    {
        var blocked = new BlockedFile(Artifact(key));
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await blocked.Reached.WaitAsync(Patience, Token);
        var last = (await silo.Client.GetStatus(UndisturbedRun.Job, Token)).Stage;
        var events = await silo.Watch(UndisturbedRun.Job, item => IsLastBefore(last, item));
        await silo.End(Signal.Kill);
        Assert.False(File.Exists(Artifact(key)));
        blocked.LeaveHalfAFile();
        return events;
    }

    // Of a stage that trains the start, of the others the end of the stage before.
    private static bool IsLastBefore(TrainingStage stage, TrainingEvent item) =>
        (item is StageStarted started && started.Stage == stage) || (item is StageCompleted completed && TrainingStages.After(completed.Stage, UndisturbedRun.Spec) == stage);

    private string Artifact(string key) => Path.Combine(_folder.FullName, "artifacts", Path.Combine(key.Split('/')));
}
