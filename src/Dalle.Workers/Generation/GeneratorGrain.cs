using System.Runtime.CompilerServices;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Concurrency;

namespace Dalle.Workers.Generation;

/// <inheritdoc cref="IGeneratorGrain"/>
/// <remarks>Reentrant: many requests wait for the engine at once, and no turn computes.</remarks>
[Reentrant]
public sealed class GeneratorGrain(IServiceProvider services, TimeProvider clock) : Grain, IGeneratorGrain
{
    public async IAsyncEnumerable<GenerationEvent> Sample(
        GenerationRequest request, IReadOnlyList<IReadOnlyList<int>> given, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var began = clock.GetTimestamp();
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var model = await GrainFactory.GetGrain<IModelCatalogGrain>(0).Get(request.Model, cancellationToken);
        var entered = new PictureRequest(request, model, given, began, leaving.Token);
        services.GetRequiredService<GenerationEngine>().Enter(entered);
        try
        {
            await foreach (var entry in entered.Events.ReadAllAsync(cancellationToken))
            {
                yield return entry;
            }
        }
        finally
        {
            // The reader may leave in the middle: that frees the places too.
            await leaving.CancelAsync();
        }
    }
}
