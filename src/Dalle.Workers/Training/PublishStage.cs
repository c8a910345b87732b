using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Data.Tokenization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
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
        foreach (var file in new[] { ModelFolder.DiscreteVae, ModelFolder.Prior, BpeVocabulary.TokensFile, BpeVocabulary.MergesFile })
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
            Parameters = DiscreteVae.Declare(preset.DiscreteVae).Sum(spec => spec.Count) + TransformerParameters.Declare(preset.Transformer).Sum(spec => spec.Count),
            JobId = context.JobId,
            Metrics = context.Lease.Metrics,
        };
        var model = ModelFolder.Seal(store, manifest, ModelConfig.Of(preset));
        context.Folder.DeleteCheckpoints();
        return Task.FromResult<WorkerReport>(new DoneReport(model));
    }
}
