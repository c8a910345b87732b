using System.IO.Hashing;
using System.Text;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;

namespace Dalle.Grains.Generation;

/// <summary>Where generators are: one on every active silo.</summary>
internal sealed class GeneratorDirectory(ISiloStatusOracle membership, IGrainFactory grains, TimeProvider clock)
{
    /// <summary>Generators that are asked how busy they are: enough to find one with room, few enough for a cluster of any size.</summary>
    private const int Asked = 8;

    /// <summary>One that does not answer within this is taken last: its silo may be gone, and not known to be.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(300);

    /// <summary>The generators of the active silos, the one that would draw soonest first: without a queue, the model in memory, its device free, few requests beside; then the nearest.</summary>
    /// <param name="session">The session that asks: different ones ask different silos where there are many.</param>
    /// <param name="model">What is to be drawn with.</param>
    public async Task<IReadOnlyList<IGeneratorGrain>> Rank(string session, ModelManifest model)
    {
        var silos = membership.GetActiveSilos().OrderBy(silo => silo.Equals(membership.SiloAddress) ? 0 : 1).ThenBy(silo => Hash(session, silo)).ToArray();
        var generators = silos.Select(silo => grains.GetGrain<IGeneratorGrain>(silo.ToParsableString())).ToArray();
        if (generators.Length <= 1)
        {
            return generators;
        }

        var loads = await Task.WhenAll(generators.Take(Asked).Select(generator => TryAsk(generator, model)));
        return
        [
            .. generators.Zip(loads).Where(entry => entry.Second is not null)
                .OrderBy(entry => entry.Second!.Waiting).ThenBy(entry => !entry.Second!.Loaded).ThenBy(entry => entry.Second!.Training).ThenBy(entry => entry.Second!.Running)
                .Select(entry => entry.First),
            .. generators.Skip(Asked),
            .. generators.Zip(loads).Where(entry => entry.Second is null).Select(entry => entry.First),
        ];
    }

    private static ulong Hash(string session, SiloAddress silo) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes($"{session} {silo.ToParsableString()}"));

    private async Task<GeneratorLoad?> TryAsk(IGeneratorGrain generator, ModelManifest model)
    {
        try
        {
            return await generator.GetLoad(model).WaitAsync(Patience, clock);
        }
        catch (Exception error) when (error is OrleansException or TimeoutException)
        {
            return null;
        }
    }
}
