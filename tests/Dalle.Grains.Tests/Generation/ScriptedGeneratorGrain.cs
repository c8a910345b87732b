using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Dalle.Contracts;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Generation;

/// <summary>What the generators of a test cluster do, told by the test; one script per session seed.</summary>
public sealed class GeneratorScript
{
    private readonly Channel<bool> _rows = Channel.CreateUnbounded<bool>();

    /// <summary>Silos whose generator has no room.</summary>
    public HashSet<string> Full { get; } = [];

    /// <summary>How busy silos are; those that are not named are idle and have the model.</summary>
    public Dictionary<string, GeneratorLoad> Loads { get; } = [];

    /// <summary>Row after which the generator that draws it breaks down, once.</summary>
    public int? BreaksAfter { get; set; }

    /// <summary>Silos that drew, in order.</summary>
    public List<string> Drew { get; } = [];

    /// <summary>Completed when a generator's stream ended early because its session let go.</summary>
    public TaskCompletionSource LetGo { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Lets generators draw so many rows.</summary>
    public void AllowRows(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _rows.Writer.TryWrite(true);
        }
    }

    public ValueTask<bool> AwaitRow(CancellationToken cancellationToken) => _rows.Reader.ReadAsync(cancellationToken);
}

/// <summary>The scripts of all tests; the cluster's silos run in this process.</summary>
public static class GeneratorScripts
{
    private static readonly System.Collections.Concurrent.ConcurrentDictionary<ulong, GeneratorScript> All = new();

    public static GeneratorScript Of(ulong seed) => All.GetOrAdd(seed, _ => new());
}

/// <summary>A generator without a model: token t of candidate c is 10 c + t, a picture's file is its number.</summary>
[Reentrant, SiloPlacement]
public sealed class ScriptedGeneratorGrain(ILocalSiloDetails silo) : Grain, IGeneratorGrain
{
    public async IAsyncEnumerable<GeneratorReport> Sample(SampleRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var script = GeneratorScripts.Of(request.Request.Seed);
        if (script.Full.Contains(silo.SiloAddress.ToParsableString()))
        {
            throw new OverloadedException("full", TimeSpan.FromSeconds(3));
        }

        script.Drew.Add(silo.SiloAddress.ToParsableString());
        var (grid, candidates) = (request.Model.GridSize, Enumerable.Range(0, request.Request.Candidates).ToArray());
        var finished = false;
        try
        {
            yield return new SamplingStarted(3);
            for (var row = request.Tokens[0].Count / grid; row < grid; row++)
            {
                await script.AwaitRow(cancellationToken);
                yield return new RowsSampled(candidates.Select(c => Enumerable.Range(row * grid, grid).Select(t => (10 * c) + t).ToArray()).ToArray());
                if (script.BreaksAfter == row)
                {
                    script.BreaksAfter = null;
                    throw new SiloUnavailableException("lost");
                }
            }

            foreach (var candidate in candidates)
            {
                yield return new PictureDecoded(candidate, new[] { (byte)candidate });
            }

            finished = true;
        }
        finally
        {
            if (!finished)
            {
                script.LetGo.TrySetResult();
            }
        }
    }

    // The model is the only thing that a question has of its test: tests name theirs by their seed.
    public Task<GeneratorLoad> GetLoad(ModelManifest model, CancellationToken cancellationToken = default) => Task.FromResult(
        ulong.TryParse(model.Name.AsSpan(1), out var seed) && GeneratorScripts.Of(seed).Loads.TryGetValue(silo.SiloAddress.ToParsableString(), out var load)
            ? load
            : new GeneratorLoad(0, 0, Loaded: true, 0));
}
