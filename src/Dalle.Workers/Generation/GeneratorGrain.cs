using System.Runtime.CompilerServices;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Workers.Training;
using Orleans.Concurrency;

namespace Dalle.Workers.Generation;

/// <summary>Lets sessions anywhere in the cluster use this silo's engine.</summary>
/// <remarks>Reentrant: many sessions read their streams at once; the engine does the work, off the grain's turns.</remarks>
[Reentrant, SiloPlacement]
internal sealed class GeneratorGrain(GenerationEngine engine, WorkerDrain workers) : Grain, IGeneratorGrain
{
    public async IAsyncEnumerable<GeneratorReport> Sample(SampleRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var kept = request.Request.Completion is { } completion
            ? await Task.Run(() => KeptPicture.Read(completion, request.Model.ImageSize, request.Model.GridSize), cancellationToken)
            : null;
        using var ticket = engine.Enter(request, kept);
        await foreach (var report in ticket.Reports(cancellationToken))
        {
            yield return report;
        }
    }

    public Task<GeneratorLoad> GetLoad(ModelManifest model, CancellationToken cancellationToken = default) => Task.FromResult(
        new GeneratorLoad(engine.Waiting, engine.Status.Running, engine.Status.Models.Contains(ModelCache.Key(model)), workers.Running.Count, engine.RetryAfter));
}
