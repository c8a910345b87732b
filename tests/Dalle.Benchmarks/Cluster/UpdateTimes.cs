using Dalle.Contracts.Training;

namespace Dalle.Benchmarks.Cluster;

/// <summary>
/// Times of updates, as a watcher's events tell them. Reports come at most every 0.25 s, so there may be several updates from one to the next: what those took longer than as many
/// at the median is laid to a single one of them, so that no slow update hides behind fast ones.
/// </summary>
internal sealed class UpdateTimes
{
    private readonly List<PriorStepCompleted> _reports = [];

    /// <summary>Reports so far.</summary>
    public int Count => _reports.Count;

    /// <summary>The first report.</summary>
    public PriorStepCompleted First => _reports[0];

    /// <summary>The last report.</summary>
    public PriorStepCompleted Last => _reports[^1];

    /// <summary>Seconds of an update: the median over the times between reports.</summary>
    public double Median => Laps.Select(lap => lap.Seconds / lap.Updates).Order().ElementAt((_reports.Count - 1) / 2);

    private IEnumerable<(double Seconds, int Updates)> Laps => _reports.Zip(_reports.Skip(1), (from, to) => ((to.At - from.At).TotalSeconds, to.Step - from.Step));

    /// <summary>Takes an event; only reports of the prior's updates count.</summary>
    public void Observe(TrainingEvent next)
    {
        if (next is PriorStepCompleted report)
        {
            _reports.Add(report);
        }
    }

    /// <summary>Seconds of the slowest update, where others take the median.</summary>
    public double Slowest(double median) => Laps.Max(lap => lap.Seconds - ((lap.Updates - 1) * median));
}
