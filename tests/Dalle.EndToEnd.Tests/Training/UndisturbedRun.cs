using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

[assembly: AssemblyFixture(typeof(Dalle.EndToEnd.Tests.Training.UndisturbedRun))]

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>The job of most tests, run once from end to end with nothing in its way: what every other run must come to.</summary>
public sealed class UndisturbedRun : IAsyncLifetime
{
    /// <summary>The job's id.</summary>
    public const string Job = "job";

    /// <summary>One thread: two would wait for each other on a busy machine. <see cref="KillTests"/> has a job with two.</summary>
    public static TrainingSpec Spec { get; } = new()
    {
        Preset = "test", Dataset = "scenes", Model = "crash", Seed = 7, DiscreteVaeUpdates = 100, PriorUpdates = 100, CheckpointEvery = 7, ThreadsPerWorker = 1,
    };

    /// <summary>The published weights and vocabulary, by file name.</summary>
    public IReadOnlyDictionary<string, byte[]> Files { get; private set; } = new Dictionary<string, byte[]>();

    public async ValueTask InitializeAsync() => Files = await Run(Spec);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Another job, run in the same way.</summary>
    public static async Task<UndisturbedRun> Of(TrainingSpec spec) => new() { Files = await Run(spec) };

    /// <summary>Fails unless a run came to the very bytes of this one.</summary>
    public void AssertSame(string dataFolder, string modelPath)
    {
        var others = Read(dataFolder, modelPath);
        Assert.Equal(5, Files.Count);
        Assert.Equal(Files.Keys.Order(StringComparer.Ordinal), others.Keys.Order(StringComparer.Ordinal));
        Assert.All(Files, file => Assert.True(file.Value.AsSpan().SequenceEqual(others[file.Key]), $"{file.Key} differs from that of the undisturbed run."));
    }

    private static async Task<Dictionary<string, byte[]>> Run(TrainingSpec spec)
    {
        using var folder = new TemporaryFolder();
        await using var silo = await SiloProcess.Start(folder.FullName);
        await silo.Client.Submit(spec, Job, TestContext.Current.CancellationToken);
        var model = await silo.Finish(Job);
        return Read(folder.FullName, model.Path);
    }

    // The card holds figures of speed, which differ from run to run.
    private static Dictionary<string, byte[]> Read(string dataFolder, string modelPath) =>
        Directory.EnumerateFiles(Path.Combine(dataFolder, "artifacts", modelPath))
            .Where(path => Path.GetFileName(path) != "model.json")
            .ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
}
