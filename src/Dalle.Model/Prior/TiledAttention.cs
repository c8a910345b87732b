using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: C model width, R = B * S rows.

/// <summary>Attention that computes only what the mask lets through, on the CPU.</summary>
internal sealed class TiledAttention(AttentionTiles tiles, int heads, int headWidth, int sequence) : Attention
{
    private readonly AttentionKernel _kernel = new(tiles, heads, headWidth, sequence);

    /// <summary>Attention of a layer of the prior.</summary>
    public TiledAttention(TransformerConfig config, AttentionKind kind)
        : this(new AttentionTiles(config, kind), config.Heads, config.HeadWidth, config.SequenceLength)
    {
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor qkv_R3C, Tape? tape)
    {
        using var scope = NewDisposeScope();
        var attended_RC = empty(qkv_R3C.shape[0], heads * headWidth, dtype: qkv_R3C.dtype);
        var total = _kernel.Forward(qkv_R3C, attended_RC);
        tape?.Keep(total);
        return attended_RC.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Backward(Tensor gradient_RC, Tensor qkv_R3C, Tape tape)
    {
        using var scope = NewDisposeScope();
        var qkvGradient_R3C = empty_like(qkv_R3C);
        _kernel.Backward(gradient_RC, qkv_R3C, tape.Take(scope), qkvGradient_R3C);
        return qkvGradient_R3C.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
    }
}
