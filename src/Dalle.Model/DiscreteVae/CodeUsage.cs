using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>How often each code was used.</summary>
internal sealed class CodeUsage(int codebookSize)
{
    private readonly long[] _counts = new long[codebookSize];

    /// <summary>Codes used at least once.</summary>
    public int CodesInUse => _counts.Count(count => count > 0);

    /// <summary>exp of the entropy of the codes' frequencies: 1 if one code serves all, K if all serve equally.</summary>
    public double Perplexity
    {
        get
        {
            double total = _counts.Sum();
            return Math.Exp(-_counts.Where(count => count > 0).Sum(count => count / total * Math.Log(count / total)));
        }
    }

    /// <summary>Counts the codes of an array, int64 of any shape.</summary>
    public void Add(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var counts = tokens.flatten().bincount(null, _counts.Length).cpu().data<long>();
        for (var code = 0; code < _counts.Length; code++)
        {
            _counts[code] += counts[code];
        }
    }
}
