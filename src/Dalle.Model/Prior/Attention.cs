using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: B batch, N heads, S sequence, H head width, C model width, R = B * S rows.

/// <summary>Masked self-attention from fused queries, keys and values.</summary>
internal sealed class Attention : IDisposable
{
    private readonly TransformerConfig _config;
    private readonly float _scale;
    private readonly Tensor _blocked_SS;
    private readonly AttentionKernel? _kernel;

    public Attention(TransformerConfig config, AttentionKind kind, Device device)
    {
        using var scope = NewDisposeScope();
        _config = config;
        _scale = (float)(1 / Math.Sqrt(config.HeadWidth));
        _kernel = device.type == TorchSharp.DeviceType.CPU && config.HeadWidth % Element.Lanes == 0
            ? new(new AttentionTiles(config, kind), config.Heads, config.HeadWidth, config.SequenceLength)
            : null;
        _blocked_SS = AttentionMask.Create(config, kind).logical_not().to(device).DetachFromDisposeScope();
    }

    /// <param name="qkv_R3C">Queries, keys and values of all heads, one after the other.</param>
    /// <param name="tape">Keeps what <see cref="Backward"/> needs; null when there is none.</param>
    /// <returns>The attended values <c>[R, C]</c>.</returns>
    public Tensor Forward(Tensor qkv_R3C, Tape? tape)
    {
        using var scope = NewDisposeScope();
        if (_kernel is not null)
        {
            var output_RC = empty(qkv_R3C.shape[0], _config.Width, dtype: qkv_R3C.dtype);
            var total = qkv_R3C.dtype == ScalarType.BFloat16 ? _kernel.Forward<BFloat16>(qkv_R3C, output_RC) : _kernel.Forward<Float32>(qkv_R3C, output_RC);
            tape?.Keep(total);
            return output_RC.MoveToOuterDisposeScope();
        }

        var (q_BNSH, k_BNSH, v_BNSH) = Split(qkv_R3C);
        var scores_BNSS = q_BNSH.mul(_scale).matmul(k_BNSH.transpose(-2, -1)).masked_fill_(_blocked_SS, float.NegativeInfinity);
        var weights_BNSS = scores_BNSS.softmax(-1);
        var attended_RC = Join(weights_BNSS.matmul(v_BNSH));
        tape?.Keep(weights_BNSS);
        return attended_RC.MoveToOuterDisposeScope();
    }

    /// <summary>The gradient of <c>qkv_R3C</c>.</summary>
    public Tensor Backward(Tensor gradient_RC, Tensor qkv_R3C, Tape tape)
    {
        using var scope = NewDisposeScope();
        if (_kernel is not null)
        {
            var total = tape.Take(scope);
            var qkvGradient_R3C = empty_like(qkv_R3C);
            if (qkv_R3C.dtype == ScalarType.BFloat16)
            {
                _kernel.Backward<BFloat16>(gradient_RC, qkv_R3C, total, qkvGradient_R3C);
            }
            else
            {
                _kernel.Backward<Float32>(gradient_RC, qkv_R3C, total, qkvGradient_R3C);
            }

            return qkvGradient_R3C.MoveToOuterDisposeScope();
        }

        var weights_BNSS = tape.Take(scope);
        var (q_BNSH, k_BNSH, v_BNSH) = Split(qkv_R3C);
        var gradient_BNSH = Heads(gradient_RC);
        var valueGradient_BNSH = weights_BNSS.transpose(-2, -1).matmul(gradient_BNSH);
        var weightGradient_BNSS = gradient_BNSH.matmul(v_BNSH.transpose(-2, -1));
        var along_BNS1 = (weightGradient_BNSS * weights_BNSS).sum(-1, keepdim: true);
        var scoreGradient_BNSS = weightGradient_BNSS.sub_(along_BNS1).mul_(weights_BNSS).mul_(_scale);
        var queryGradient_BNSH = scoreGradient_BNSS.matmul(k_BNSH);
        var keyGradient_BNSH = scoreGradient_BNSS.transpose(-2, -1).matmul(q_BNSH);
        return cat([Join(queryGradient_BNSH), Join(keyGradient_BNSH), Join(valueGradient_BNSH)], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _blocked_SS.Dispose();

    private (Tensor Q, Tensor K, Tensor V) Split(Tensor qkv_R3C)
    {
        var parts = qkv_R3C.chunk(3, -1);
        return (Heads(parts[0]), Heads(parts[1]), Heads(parts[2]));
    }

    private Tensor Heads(Tensor x_RC) => x_RC.reshape(-1, _config.SequenceLength, _config.Heads, _config.HeadWidth).transpose(1, 2);

    private Tensor Join(Tensor x_BNSH) => x_BNSH.transpose(1, 2).reshape(-1, _config.Width);
}
