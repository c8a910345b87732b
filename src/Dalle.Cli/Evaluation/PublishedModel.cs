using Dalle.Cli.Hosting;
using Dalle.Contracts.Models;
using Dalle.Model.Native;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;

namespace Dalle.Cli.Evaluation;

/// <summary>The files of a published model, for what is computed in this process, on the processor.</summary>
internal static class PublishedModel
{
    /// <param name="cluster">Where the model is published.</param>
    /// <param name="model">The model.</param>
    /// <param name="work">Reads the model, once its files have been verified.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="CommandException">The model's files are not those that were published, or it is not what the work needs.</exception>
    public static Task<T> Compute<T>(ClusterConnection cluster, ModelManifest model, Func<ArtifactStore, T> work, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            TorchRuntime.Initialize();
            try
            {
                var store = new ArtifactStore(cluster.ArtifactDirectory);
                ModelFolder.Verify(store, model);
                return work(store);
            }
            catch (Exception damage) when (damage is IOException or ArgumentException)
            {
                throw new CommandException($"Model '{model.Name}' cannot be loaded: {damage.Message}");
            }
        },
        cancellationToken);
}
