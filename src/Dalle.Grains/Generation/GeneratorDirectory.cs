using System.IO.Hashing;
using System.Text;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;

namespace Dalle.Grains.Generation;

/// <summary>Where generators are: one on every active silo.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class GeneratorDirectory(ISiloStatusOracle membership, IGrainFactory grains, TimeProvider clock)
{
    /// <summary>Generators that are asked how busy they are: enough to find one with room, few enough for a cluster of any size.</summary>
    private const int Asked = 8;

    /// <summary>One that does not answer within this is taken last: its silo may be gone, and not known to be.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(300);

    /// <summary>Time for which it is not asked again whether all generators are full.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private (Task<TimeSpan?> Answer, long Asked)? _wait;

    /// <summary>
    /// When to try again where all generators are full; null where one has room. Known as of a moment ago: to refuse a request for it costs next to nothing, which counts
    /// when there are far more than can be drawn.
    /// </summary>
    public Task<TimeSpan?> FindWait(ModelManifest model)
    {
        lock (_gate)
        {
            if (_wait is not { } known || clock.GetElapsedTime(known.Asked) > Freshness)
            {
                _wait = known = (AskWait(model), clock.GetTimestamp());
            }

            return known.Answer;
        }
    }

    /// <summary>The generators of the active silos, the one that would draw soonest first: without a queue, the model in memory, its device free, few requests beside; then the nearest.</summary>
    /// <param name="session">The session that asks: different ones ask different silos where there are many.</param>
    /// <param name="model">What is to be drawn with.</param>
    public async Task<IReadOnlyList<IGeneratorGrain>> Rank(string session, ModelManifest model)
    {
        var generators = List(session);
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

    /// <summary>All generators, the nearest first.</summary>
    private IGeneratorGrain[] List(string session) =>
    [
        .. membership.GetActiveSilos().OrderBy(silo => silo.Equals(membership.SiloAddress) ? 0 : 1).ThenBy(silo => Hash(session, silo))
            .Select(silo => grains.GetGrain<IGeneratorGrain>(silo.ToParsableString())),
    ];

    /// <summary>The shortest wait where each of the generators is known to be full; else null, and where there are too many to ask.</summary>
    private async Task<TimeSpan?> AskWait(ModelManifest model)
    {
        var generators = List("");
        TimeSpan? shortest = null;
        foreach (var generator in generators.Take(Asked))
        {
            if ((await TryAsk(generator, model))?.RetryAfter is not { } wait)
            {
                return null;
            }

            shortest = shortest < wait ? shortest : wait;
        }

        return generators.Length > Asked ? null : shortest;
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
