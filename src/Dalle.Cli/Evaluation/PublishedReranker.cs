using Dalle.Cli.Hosting;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Model.Native;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;
using TorchSharp;

namespace Dalle.Cli.Evaluation;

/// <summary>What the reranker of a published model says of pictures. It computes in this process, on the processor.</summary>
internal static class PublishedReranker
{
    /// <param name="cluster">Where the model is published.</param>
    /// <param name="model">The model.</param>
    /// <param name="pairs">Lists of captions with a picture drawn for each.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Of each list; null if the model has no reranker.</returns>
    /// <exception cref="CommandException">The model's files are not those that were published.</exception>
    public static Task<RerankerScores[]?> Measure(
        ClusterConnection cluster, ModelManifest model, IReadOnlyList<IReadOnlyList<(string Caption, Picture Picture)>> pairs, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            TorchRuntime.Initialize();
            try
            {
                var store = new ArtifactStore(cluster.ArtifactDirectory);
                ModelFolder.Verify(store, model);
                using var reranker = LoadedReranker.Read(store, model, torch.CPU);
                return reranker is null ? null : pairs.Select(reranker.Measure).ToArray();
            }
            catch (Exception damage) when (damage is IOException or ArgumentException)
            {
                throw new CommandException($"The reranker of model '{model.Name}' cannot be loaded: {damage.Message}");
            }
        },
        cancellationToken);
}
