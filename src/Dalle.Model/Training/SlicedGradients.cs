using Dalle.Model.Parameters;

namespace Dalle.Model.Training;

/// <summary>The parameters of a store once for every slice of a batch: in the same memory, with gradients of their own.</summary>
internal sealed class SlicedGradients : IDisposable
{
    private readonly ParameterStore[] _slices;

    /// <param name="parameters">Serves the first slice, and gets the sum of all gradients; the caller disposes it.</param>
    /// <param name="slices">How many.</param>
    public SlicedGradients(ParameterStore parameters, int slices) =>
        _slices = [parameters, .. Enumerable.Range(1, slices - 1).Select(_ => parameters.WithOwnGradients())];

    /// <summary>The parameters of one slice.</summary>
    public ParameterStore this[int slice] => _slices[slice];

    /// <summary>Zeroes all gradients; to be called before the first backward pass of an update.</summary>
    public void Zero()
    {
        foreach (var parameters in _slices)
        {
            parameters.ZeroGradients();
        }
    }

    /// <summary>Brings all gradients into <see cref="ParameterStore.Gradient"/> of the first, in the order of the slices; to be called after the last backward pass of an update.</summary>
    public void Collect()
    {
        _slices[0].CollectGradients();
        foreach (var parameters in _slices[1..])
        {
            _slices[0].AddGradients(parameters);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameters in _slices[1..])
        {
            parameters.Dispose();
        }
    }
}
