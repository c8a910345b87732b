using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>One of AdamW's two moments of every parameter: codes of 16 bits for the first of them, 32-bit floats for the rest.</summary>
internal sealed class Moment : IDisposable
{
    private readonly ParameterStore _parameters;
    private readonly bool _coded;

    /// <summary>Allocates it, all zero.</summary>
    /// <param name="parameters">Whose moment it is.</param>
    /// <param name="coded">Whether the elements of <see cref="ParameterKind.Weight"/>, which come first, are codes.</param>
    public Moment(ParameterStore parameters, bool coded)
    {
        (_parameters, _coded) = (parameters, coded);
        var device = parameters.Master.device;
        var codes = coded ? parameters.WeightCount : 0;
        Codes = zeros(codes, ScalarType.Int16, device).DetachFromDisposeScope();
        Floats = zeros(parameters.Count - codes, device: device).DetachFromDisposeScope();
    }

    /// <summary>The codes' bits, int16.</summary>
    public Tensor Codes { get; }

    /// <summary>The moment of what follows, float32.</summary>
    public Tensor Floats { get; }

    /// <summary>Codes and floats by parameter, for checkpoints. The views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Views(string prefix) =>
        _parameters.Specs.Select(spec => (prefix + spec.Name, _coded && spec.Kind == ParameterKind.Weight
            ? _parameters.View(Codes, spec.Name)
            : _parameters.View(Floats, spec.Name, from: Codes.numel())));

    /// <inheritdoc/>
    public void Dispose()
    {
        Codes.Dispose();
        Floats.Dispose();
    }
}
