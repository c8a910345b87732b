using System.Runtime.InteropServices;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>The packed weights of one layer.</summary>
internal sealed class PackedLayer : IDisposable
{
    public PackedLayer(ParameterStore parameters, string prefix, AttentionKind kind, SamplingWeights weights)
    {
        Kind = kind;
        (AttentionGain, AttentionBias) = (Vector(parameters, prefix + "attention.norm.gain"), Vector(parameters, prefix + "attention.norm.bias"));
        (MlpGain, MlpBias) = (Vector(parameters, prefix + "mlp.norm.gain"), Vector(parameters, prefix + "mlp.norm.bias"));
        Qkv = Matrix(parameters, prefix + "attention.qkv", weights);
        Output = Matrix(parameters, prefix + "attention.output", weights);
        Up = Matrix(parameters, prefix + "mlp.up", weights);
        Down = Matrix(parameters, prefix + "mlp.down", weights);
    }

    public AttentionKind Kind { get; }

    public FloatBuffer AttentionGain { get; }

    public FloatBuffer AttentionBias { get; }

    public FloatBuffer MlpGain { get; }

    public FloatBuffer MlpBias { get; }

    public PackedMatrix Qkv { get; }

    public PackedMatrix Output { get; }

    public PackedMatrix Up { get; }

    public PackedMatrix Down { get; }

    /// <summary>A copy of a parameter's 32-bit values.</summary>
    public static FloatBuffer Vector(ParameterStore parameters, string name)
    {
        using var view = parameters.View(parameters.Master, name);
        using var values = view.cpu();
        var source = MemoryMarshal.Cast<byte, float>(values.bytes);
        var buffer = new FloatBuffer(source.Length);
        source.CopyTo(buffer.Slice(0, source.Length));
        return buffer;
    }

    public void Dispose()
    {
        foreach (var part in (IDisposable[])[AttentionGain, AttentionBias, MlpGain, MlpBias, Qkv, Output, Up, Down])
        {
            part.Dispose();
        }
    }

    private static PackedMatrix Matrix(ParameterStore parameters, string name, SamplingWeights weights) =>
        new(parameters[name + ".weight"], parameters[name + ".bias"], weights);
}
