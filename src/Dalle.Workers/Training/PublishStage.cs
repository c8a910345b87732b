using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;

namespace Dalle.Workers.Training;

/// <summary>Copies what the job has made into a model folder of its own, sealed with checksums. The job enters it into the catalog.</summary>
internal sealed class PublishStage : IStage
{
    public TrainingStage Stage => TrainingStage.Publish;

    public Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        var (store, preset) = (context.Folder.Store, context.Preset);
        var path = ArtifactKey.Join("models", context.Spec.Model, context.JobId);
        var config = ModelConfig.Of(preset) with { Reranker = store.Exists(context.Folder.File(ModelFolder.Reranker)) ? preset.Reranker : null };
        foreach (var file in ModelFolder.FilesOf(config).Where(file => file != ModelFolder.Card))
        {
            using var source = store.Open(context.Folder.File(file));
            store.Write($"{path}/{file}", source.CopyTo);
        }

        var manifest = new ModelManifest
        {
            Name = context.Spec.Model,
            Preset = preset.Name,
            Path = path,
            Published = context.Clock.GetUtcNow(),
            ImageSize = preset.DiscreteVae.ImageSize,
            GridSize = preset.DiscreteVae.GridSize,
            Parameters = new[] { DiscreteVae.Declare(config.DiscreteVae), TransformerParameters.Declare(config.Transformer), config.Reranker is null ? [] : RerankerParameters.Declare(config.Reranker) }
                .Sum(specs => specs.Sum(spec => spec.Count)),
            JobId = context.JobId,
            Metrics = context.Lease.Metrics,
        };
        var model = ModelFolder.Seal(store, manifest, config);
        context.Folder.DeleteCheckpoints();
        return Task.FromResult<WorkerReport>(new DoneReport(model));
    }
}
