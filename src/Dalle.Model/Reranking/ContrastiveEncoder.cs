using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

// Shape suffixes: B batch, S positions, C model width, R = B * S rows, E embedding width, 1 a dimension of one.

/// <summary>
/// One of the reranker's two encoders behind its first layer: the prior's resblocks, in which all positions attend to all, a normalisation, the mean over the positions, and a projection brought
/// to unit length. (CLIP takes one position's output for the mean; the mean learns sooner: Beyer et al., 2022.)
/// </summary>
internal sealed class ContrastiveEncoder : IDisposable
{
    private readonly ParameterStore _parameters;
    private readonly string _prefix;
    private readonly int _length;
    private readonly Attention _attention;
    private readonly ResidualStack _stack;
    private readonly LayerNorm _norm;
    private readonly Tensor _projection_EC;

    /// <param name="parameters">Holds at least the encoder's; the caller keeps and disposes it.</param>
    /// <param name="prefix">What the names of its parameters begin with.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="length">Positions, S.</param>
    public ContrastiveEncoder(ParameterStore parameters, string prefix, EncoderShape shape, int length)
    {
        var compute = parameters.Precision.ToScalarType();
        (_parameters, _prefix, _length) = (parameters, prefix, length);
        _attention = Attention.CreateAllToAll(length, shape.Heads, shape.HeadWidth, parameters.Master.device, compute);
        _stack = new([.. RerankerParameters.Layers(prefix, shape).SelectMany(names => (Resblock[])
        [
            new AttentionResblock(parameters, names[0], compute, _attention),
            new MlpResblock(parameters, names[1], compute),
        ])]);
        _norm = new(parameters, prefix + "norm", ScalarType.Float32);
        _projection_EC = parameters[prefix + "projection"];
    }

    /// <summary>Embeddings of unit length: float32 <c>[R, C]</c> to float32 <c>[B, E]</c>.</summary>
    public Tensor Forward(Tensor x_RC)
    {
        using var scope = NewDisposeScope();
        return Project(_stack.Forward(x_RC)).Unit_BE.MoveToOuterDisposeScope();
    }

    /// <summary>The same, in a way that can go back.</summary>
    /// <param name="x_RC">The first layer's output, float32; the pass disposes of it.</param>
    /// <param name="recompute">Keep only each resblock's input, and run it again on the way back.</param>
    public EncoderPass Begin(Tensor x_RC, bool recompute)
    {
        var walk = _stack.Walk(x_RC, recompute);
        for (var resblock = 0; resblock < walk.Length; resblock++)
        {
            walk.Forward();
        }

        return new(this, walk);
    }

    /// <summary>The mean over positions of the stack's normalised output, the length of its projection, and that brought to unit length.</summary>
    internal (Tensor Mean_BC, Tensor Length_B1, Tensor Unit_BE) Project(Tensor output_RC)
    {
        using var scope = NewDisposeScope();
        var mean_BC = _norm.Forward(output_RC).view(-1, _length, output_RC.shape[1]).mean([1]);
        var projected_BE = nn.functional.linear(mean_BC, _projection_EC);
        var length_B1 = projected_BE.mul(projected_BE).sum(-1, keepdim: true).sqrt_().clamp_min_(Number(1e-12));
        return (mean_BC.MoveToOuterDisposeScope(), length_B1.MoveToOuterDisposeScope(), projected_BE.div(length_B1).MoveToOuterDisposeScope());
    }

    /// <summary>Adds the gradients of projection and normalisation, and returns that of the stack's output.</summary>
    internal Tensor BackwardThroughProjection(Tensor gradient_BE, Tensor output_RC, Tensor mean_BC, Tensor length_B1, Tensor unit_BE)
    {
        using var scope = NewDisposeScope();

        // What lies along the embedding changes its length only, which does not count.
        var along_B1 = gradient_BE.mul(unit_BE).sum(-1, keepdim: true);
        var projectedGradient_BE = gradient_BE.sub(unit_BE.mul(along_B1)).div_(length_B1);
        _parameters.GradientOf(_prefix + "projection").addmm_(projectedGradient_BE.t(), mean_BC);
        var meanGradient_BC = projectedGradient_BE.mm(_projection_EC).div_(Number(_length));

        // Of a single row the reshaped array would still be that row over and over.
        var normalGradient_RC = meanGradient_BC.unsqueeze(1).expand(-1, _length, -1).reshape(-1, output_RC.shape[1]).contiguous();
        return _norm.Backward(normalGradient_RC, output_RC).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _attention.Dispose();
}

/// <summary>One way of a batch through an encoder, and back.</summary>
/// <remarks>What lasts from one call to the next belongs to the pass, so each call may run on another thread.</remarks>
internal sealed class EncoderPass : IDisposable
{
    private readonly ContrastiveEncoder _encoder;
    private readonly ResidualWalk _walk;
    private readonly Tensor _mean_BC;
    private readonly Tensor _length_B1;

    /// <param name="encoder">The encoder.</param>
    /// <param name="walk">A walk through its resblocks that has come to the end; the pass disposes it.</param>
    public EncoderPass(ContrastiveEncoder encoder, ResidualWalk walk)
    {
        (_encoder, _walk) = (encoder, walk);
        var (mean_BC, length_B1, unit_BE) = encoder.Project(walk.Here);
        (_mean_BC, _length_B1, Unit) = (mean_BC.DetachFromDisposeScope(), length_B1.DetachFromDisposeScope(), unit_BE.DetachFromDisposeScope());
    }

    /// <summary>The embeddings, float32 <c>[B, E]</c>, of unit length.</summary>
    public Tensor Unit { get; }

    /// <summary>Goes back, once: adds the parameters' gradients, and returns that of the first layer's output, float32 <c>[R, C]</c>.</summary>
    /// <param name="gradient_BE">Gradient of the embeddings.</param>
    public Tensor Backward(Tensor gradient_BE)
    {
        var gradient_RC = _encoder.BackwardThroughProjection(gradient_BE, _walk.Here, _mean_BC, _length_B1, Unit);
        for (var resblock = 0; resblock < _walk.Length; resblock++)
        {
            _walk.Backward(gradient_RC);
        }

        return gradient_RC;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _walk.Dispose();
        _mean_BC.Dispose();
        _length_B1.Dispose();
        Unit.Dispose();
    }
}
