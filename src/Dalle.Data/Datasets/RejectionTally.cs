using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>How many samples were left out for one reason, with a few of their ids.</summary>
public sealed record RejectedSamples(long Count, IReadOnlyList<string> Examples);

/// <summary>Counts rejected samples by reason.</summary>
internal sealed class RejectionTally
{
    private const int MaxExamples = 5;
    private const int MaxIdLength = 200;

    private readonly SortedDictionary<RejectionReason, (long Count, List<string> Examples)> _reasons = [];

    public long Count { get; private set; }

    public void Add(string id, RejectionReason reason)
    {
        var (count, examples) = _reasons.TryGetValue(reason, out var known) ? known : (0, []);
        if (examples.Count < MaxExamples)
        {
            examples.Add(id.Length <= MaxIdLength ? id : id[..MaxIdLength]);
        }
        _reasons[reason] = (count + 1, examples);
        Count++;
    }

    public IReadOnlyDictionary<RejectionReason, RejectedSamples> Report() =>
        _reasons.ToDictionary(reason => reason.Key, reason => new RejectedSamples(reason.Value.Count, reason.Value.Examples));
}
