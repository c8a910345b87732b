using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Silo.Tests.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Dalle.Silo.Tests.Training;

/// <summary>Whole jobs of the micro preset through a real silo with its embedded store.</summary>
public sealed class TrainingPipelineTests
{
    private static readonly TrainingSpec Spec = new()
    {
        Preset = "test", Dataset = "scenes", Model = "pipeline", Seed = 7, DiscreteVaeUpdates = 30, PriorUpdates = 30, RerankerUpdates = 30, CheckpointEvery = 10, ThreadsPerWorker = 1,
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_RunsEveryStage_AndPublishesTheModel()
    {
        await using var silo = new RunningSilo();
        await silo.InitializeAsync();

        var events = await Finish(silo, "whole");
        var model = await Model(silo);

        Assert.Equal(TrainingStages.InOrder, events.OfType<StageCompleted>().Select(e => e.Stage));
        Assert.Contains(events, e => e is CheckpointWritten { Checkpoint: { Stage: TrainingStage.DiscreteVae, Step: 10 } });
        Assert.Contains(events, e => e is DiscreteVaeEvaluated { Psnr: > 5 });
        Assert.Contains(events, e => e is PriorStepCompleted { Step: 30, ImageLoss: > 0 });
        Assert.Contains(events, e => e is SampleGridReady { Stage: TrainingStage.Prior, Png.Length: > 100 });
        Assert.Equal("test", model.Preset);
        Assert.Contains(events, e => e is RerankerStepCompleted { Step: 30, Loss: > 0, Temperature: > 0 });
        Assert.Contains(events, e => e is RerankerEvaluated { Step: 30, Pairs: 256, BatchSize: 32, OfTrainingPictures: false });
        Assert.Contains("reranker.safetensors", model.Files.Keys);
        Assert.InRange(model.Metrics["imageToText"], 0, 1);
        Assert.Equal(6, model.Files.Count);
    }

    [Theory]
    [InlineData(TrainingStage.DiscreteVae)]
    [InlineData(TrainingStage.Prior)]
    [InlineData(TrainingStage.Reranker)]
    public async Task Job_PausedAndResumed_TrainsTheSameBytes(TrainingStage stage)
    {
        await using var silo = new RunningSilo();
        await silo.InitializeAsync();
        await Finish(silo, "undisturbed");
        var undisturbed = await Model(silo);

        var job = Grain(silo, "paused");
        await job.Start(Spec, Token);
        await foreach (var e in job.Watch(cancellationToken: Token))
        {
            if (e is StageStarted started && started.Stage == stage)
            {
                break;
            }
        }

        await job.Pause(Token);
        var paused = await job.GetStatus(Token);
        await job.Resume(cancellationToken: Token);
        await Completed(job);
        var resumed = await Model(silo);

        Assert.Equal((TrainingPhase.Paused, stage), (paused.Phase, paused.Stage));
        Assert.NotEqual(undisturbed.JobId, resumed.JobId);
        Assert.Equal(Weights(undisturbed), Weights(resumed));
    }

    private static string[] Weights(ModelManifest model) => [.. model.Files.Where(file => file.Key != "model.json").OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => file.Value)];

    private static ITrainingJobGrain Grain(RunningSilo silo, string job) => silo.Services.GetRequiredService<IGrainFactory>().GetGrain<ITrainingJobGrain>(job);

    private static Task<ModelManifest> Model(RunningSilo silo) => silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IModelCatalogGrain>(0).Get(Spec.Model, Token);

    private static async Task<IReadOnlyList<TrainingEvent>> Finish(RunningSilo silo, string job)
    {
        await Grain(silo, job).Start(Spec, Token);
        return await Completed(Grain(silo, job));
    }

    private static async Task<IReadOnlyList<TrainingEvent>> Completed(ITrainingJobGrain job)
    {
        var events = new List<TrainingEvent>();
        await foreach (var e in job.Watch(cancellationToken: Token))
        {
            events.Add(e);
        }

        var status = await job.GetStatus(Token);
        Assert.True(status.Phase == TrainingPhase.Completed, $"{status.Phase} in {status.Stage}: {status.Failure}");
        return events;
    }
}
