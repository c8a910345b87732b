using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>The parameter gradients of each resblock, which come out multiplied by its scale.</summary>
internal sealed class ScaledGradients
{
    private readonly ParameterStore _parameters;
    private readonly GradientScales _scales;
    private readonly (long Start, long Count)[][] _ranges;

    /// <param name="parameters">Holds the gradients.</param>
    /// <param name="resblocks">What the names of each resblock's parameters begin with, in the order of its scales.</param>
    /// <param name="scales">Their scales; the caller keeps and disposes them.</param>
    public ScaledGradients(ParameterStore parameters, IReadOnlyList<string> resblocks, GradientScales scales)
    {
        (_parameters, _scales) = (parameters, scales);
        _ranges = [.. resblocks.Select(resblock => Ranges(parameters.Specs, resblock).ToArray())];
    }

    /// <summary>Divides the collected gradients of each resblock by its scale.</summary>
    /// <returns>For each resblock, whether they are all finite.</returns>
    public bool[] Unscale()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var finite = new Tensor[_ranges.Length];
        for (var resblock = 0; resblock < finite.Length; resblock++)
        {
            var parts = Array.ConvertAll(_ranges[resblock], range => _parameters.Gradient.narrow(0, range.Start, range.Count));
            finite[resblock] = Unscale(_scales[resblock], parts);
        }

        return stack(finite).cpu().data<bool>().ToArray();
    }

    /// <summary>Divides the gradients of a resblock by its scale.</summary>
    /// <returns>Whether they are all finite: a bool, on their device.</returns>
    public static Tensor Unscale(double scale, params Tensor[] gradients) => stack([.. gradients.Select(part => part.div_(Number(scale)).isfinite().all())]).all();

    // Neighbouring parameters as one range: a resblock's matrices lie together, and so do its gains and biases.
    private static IEnumerable<(long Start, long Count)> Ranges(IReadOnlyList<ParameterSpec> specs, string resblock)
    {
        long offset = 0, start = 0;
        foreach (var spec in specs)
        {
            if (!spec.Name.StartsWith(resblock, StringComparison.Ordinal))
            {
                if (offset > start)
                {
                    yield return (start, offset - start);
                }

                start = offset + spec.Count;
            }

            offset += spec.Count;
        }

        if (offset > start)
        {
            yield return (start, offset - start);
        }
    }
}
