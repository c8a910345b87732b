using System.Globalization;
using Dalle.Contracts.Training;
using Dalle.Workers.Artifacts;

namespace Dalle.Workers.Training;

/// <summary>Where the working files of one job lie in the artifact store.</summary>
/// <param name="store">The store.</param>
/// <param name="jobId">The job.</param>
internal sealed class JobFolder(ArtifactStore store, string jobId)
{
    /// <summary>The store itself.</summary>
    public ArtifactStore Store { get; } = store;

    /// <summary>Key of the folder.</summary>
    public string Key { get; } = ArtifactKey.Join("jobs", jobId);

    /// <summary>Key of a file of the job.</summary>
    public string File(string name) => $"{Key}/{name}";

    /// <summary>Where a file of the job lies on this machine.</summary>
    public string PathOf(string name) => Store.PathOf(File(name));

    /// <summary>The checkpoint of a stage after some updates, whether it is there or not.</summary>
    public CheckpointManifest Checkpoint(TrainingStage stage, int step) =>
        new(stage, step, string.Create(CultureInfo.InvariantCulture, $"{CheckpointsOf(stage)}/step-{step:d8}"));

    /// <summary>Checkpoints of the same stage before one, the newest first.</summary>
    public IEnumerable<CheckpointManifest> Before(CheckpointManifest checkpoint) =>
        from key in Store.ListFolders(CheckpointsOf(checkpoint.Stage)).Reverse()
        let step = int.TryParse(key.AsSpan(key.LastIndexOf('-') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : int.MaxValue
        where step < checkpoint.Step
        select Checkpoint(checkpoint.Stage, step);

    /// <summary>Where a checkpoint's folder lies on this machine.</summary>
    public string PathOf(CheckpointManifest checkpoint) => Store.PathOf(checkpoint.Path);

    /// <summary>Deletes old checkpoints of a stage. Called only once the job has named the newest; what a lost run has left beyond that one does not count.</summary>
    /// <param name="named">The one that the job would go on from.</param>
    /// <param name="keep">How many to keep, that one included.</param>
    public void Prune(CheckpointManifest named, int keep)
    {
        foreach (var old in Before(named).Skip(keep - 1))
        {
            Store.DeleteFolder(old.Path);
        }
    }

    /// <summary>Deletes the checkpoints of all stages: what a published job no longer needs.</summary>
    public void DeleteCheckpoints() => Store.DeleteFolder($"{Key}/checkpoints");

    /// <summary>Deletes everything.</summary>
    public void Delete() => Store.DeleteFolder(Key);

    private string CheckpointsOf(TrainingStage stage) => $"{Key}/checkpoints/{stage.ToString().ToLowerInvariant()}";
}
