using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: B batch, N heads, S sequence, H head width, C model width, R = B * S rows.

/// <summary>Attention over all of a mask, or over none, on any device.</summary>
internal sealed class DenseAttention : Attention
{
    private readonly int _sequence;
    private readonly int _heads;
    private readonly int _headWidth;
    private readonly float _scale;
    private readonly Tensor? _blocked_SS;

    /// <param name="sequence">Positions of a sequence.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="headWidth">Width of a head.</param>
    /// <param name="blocked_SS">True where query (first) does not attend to key (second); this disposes it. Null if all attend to all.</param>
    public DenseAttention(int sequence, int heads, int headWidth, Tensor? blocked_SS)
    {
        (_sequence, _heads, _headWidth) = (sequence, heads, headWidth);
        _scale = (float)(1 / Math.Sqrt(headWidth));
        _blocked_SS = blocked_SS?.DetachFromDisposeScope();
    }

    /// <summary>Attention of a layer of the prior.</summary>
    public DenseAttention(TransformerConfig config, AttentionKind kind, Device device)
        : this(config.SequenceLength, config.Heads, config.HeadWidth, Blocked(config, kind, device))
    {
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor qkv_R3C, Tape? tape)
    {
        using var scope = NewDisposeScope();
        var (q_BNSH, k_BNSH, v_BNSH) = Split(qkv_R3C);
        var scores_BNSS = q_BNSH.mul(Number(_scale)).matmul(k_BNSH.transpose(-2, -1));
        if (_blocked_SS is not null)
        {
            scores_BNSS.masked_fill_(_blocked_SS, Number(double.NegativeInfinity));
        }

        var weights_BNSS = scores_BNSS.softmax(-1);
        var attended_RC = Join(weights_BNSS.matmul(v_BNSH));
        tape?.Keep(weights_BNSS);
        return attended_RC.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Backward(Tensor gradient_RC, Tensor qkv_R3C, Tape tape)
    {
        using var scope = NewDisposeScope();
        var weights_BNSS = tape.Take(scope);
        var (q_BNSH, k_BNSH, v_BNSH) = Split(qkv_R3C);
        var gradient_BNSH = Heads(gradient_RC);
        var valueGradient_BNSH = weights_BNSS.transpose(-2, -1).matmul(gradient_BNSH);
        var weightGradient_BNSS = gradient_BNSH.matmul(v_BNSH.transpose(-2, -1));
        var along_BNS1 = (weightGradient_BNSS * weights_BNSS).sum(-1, keepdim: true);
        var scoreGradient_BNSS = weightGradient_BNSS.sub_(along_BNS1).mul_(weights_BNSS).mul_(Number(_scale));
        var queryGradient_BNSH = scoreGradient_BNSS.matmul(k_BNSH);
        var keyGradient_BNSH = scoreGradient_BNSS.transpose(-2, -1).matmul(q_BNSH);
        return cat([Join(queryGradient_BNSH), Join(keyGradient_BNSH), Join(valueGradient_BNSH)], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override void Dispose() => _blocked_SS?.Dispose();

    private static Tensor Blocked(TransformerConfig config, AttentionKind kind, Device device)
    {
        using var scope = NewDisposeScope();
        return AttentionMask.Create(config, kind).logical_not().to(device).MoveToOuterDisposeScope();
    }

    private (Tensor Q, Tensor K, Tensor V) Split(Tensor qkv_R3C)
    {
        var parts = qkv_R3C.chunk(3, -1);
        return (Heads(parts[0]), Heads(parts[1]), Heads(parts[2]));
    }

    private Tensor Heads(Tensor x_RC) => x_RC.reshape(-1, _sequence, _heads, _headWidth).transpose(1, 2);

    private Tensor Join(Tensor x_BNSH) => x_BNSH.transpose(1, 2).reshape(-1, _heads * _headWidth);
}
