using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>One of AdamW's two moments of every parameter: codes of 16 bits for the first of them, 32-bit floats for the rest.</summary>
internal sealed class Moment : IDisposable
{
    private readonly ParameterStore _parameters;

    /// <summary>Allocates it, all zero.</summary>
    /// <param name="parameters">Whose moment it is.</param>
    /// <param name="coded">How many elements at the front are codes: 0 or all of <see cref="ParameterKind.Weight"/>.</param>
    public Moment(ParameterStore parameters, long coded)
    {
        _parameters = parameters;
        var device = parameters.Master.device;
        Codes = zeros(coded, ScalarType.Int16, device).DetachFromDisposeScope();
        Floats = zeros(parameters.Count - coded, device: device).DetachFromDisposeScope();
    }

    /// <summary>The codes' bits, int16.</summary>
    public Tensor Codes { get; }

    /// <summary>The moment of what follows, float32.</summary>
    public Tensor Floats { get; }

    /// <summary>Codes and floats by parameter, for checkpoints. The views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Views(string prefix)
    {
        var coded = Codes.numel();
        return _parameters.Specs.Select(spec => (prefix + spec.Name, coded > 0 && spec.Kind == ParameterKind.Weight
            ? _parameters.View(Codes, spec.Name)
            : _parameters.View(Floats, spec.Name, from: coded)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Codes.Dispose();
        Floats.Dispose();
    }
}
