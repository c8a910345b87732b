using Dalle.Collectives.Updates;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

/// <summary>What the workers of a job have computed with, update by update, as far as it was committed in the end.</summary>
internal sealed class SampleLedger
{
    private readonly SortedDictionary<(int Step, int Worker), IReadOnlyList<UsedSample>> _entries = [];

    /// <summary>Everything, by update and worker.</summary>
    public IEnumerable<(int Step, int Worker, UsedSample Sample)> Entries => _entries.SelectMany(entry => entry.Value.Select(sample => (entry.Key.Step, entry.Key.Worker, sample)));

    /// <summary>Everything in the order of the batches, whoever has computed with it.</summary>
    public IEnumerable<UsedSample> Samples => _entries.Values.SelectMany(samples => samples);

    /// <summary>Lets hosts prepare and commit the updates of a job, through several epochs.</summary>
    /// <typeparam name="TBatch">The samples of one update, without tensors.</typeparam>
    /// <param name="epochs">Each one's grids, one of each host, and its updates: where an epoch begins before the end of the one before, updates were lost with a host.</param>
    /// <param name="updates">What each host has open. It keeps that from epoch to epoch, as silos do.</param>
    /// <param name="samplesOf">What a worker computes with.</param>
    public static SampleLedger Of<TBatch>(
        IEnumerable<(IReadOnlyList<WorkerGrid> Hosts, Range Steps)> epochs, IReadOnlyList<IUpdates<TBatch>> updates, Func<TBatch, WorkerGrid, int, IReadOnlyList<UsedSample>> samplesOf)
    {
        const int ReadAhead = 3;
        var ledger = new SampleLedger();
        foreach (var (hosts, steps) in epochs)
        {
            foreach (var (host, grid) in hosts.Index())
            {
                updates[host].Grid = grid;
                for (var step = steps.Start.Value; step < steps.End.Value + ReadAhead; step++)
                {
                    var batch = updates[host].Prepare(step);
                    foreach (var worker in step < steps.End.Value ? grid.OwnWorkers : [])
                    {
                        ledger.Commit(step, worker, samplesOf(batch, grid, worker));
                    }
                }
            }
        }

        return ledger;
    }

    // An update that was lost is computed again, with the same samples.
    private void Commit(int step, int worker, IReadOnlyList<UsedSample> samples)
    {
        if (!_entries.TryAdd((step, worker), samples))
        {
            Assert.Equal(_entries[(step, worker)], samples);
        }
    }
}

/// <summary>A sample as a worker gets it.</summary>
/// <param name="Number">Its number in the dataset.</param>
/// <param name="Content">All that was drawn of it: the augmented pixels, or the tokens of the caption.</param>
internal readonly record struct UsedSample(int Number, string Content);
