using System.Runtime.CompilerServices;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Orleans.Concurrency;

namespace Dalle.Workers.Generation;

/// <summary>Lets sessions anywhere in the cluster use this silo's engine.</summary>
/// <remarks>Reentrant: many sessions read their streams at once; the engine does the work, off the grain's turns.</remarks>
[Reentrant, SiloPlacement]
internal sealed class GeneratorGrain(GenerationEngine engine) : Grain, IGeneratorGrain
{
    public async IAsyncEnumerable<GeneratorReport> Sample(SampleRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var ticket = engine.Enter(request);
        await foreach (var report in ticket.Reports(cancellationToken))
        {
            yield return report;
        }
    }
}
