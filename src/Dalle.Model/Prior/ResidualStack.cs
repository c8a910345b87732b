using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>The resblocks in order, around a 32-bit identity path.</summary>
/// <param name="blocks">The resblocks.</param>
/// <param name="scales">Scales of their gradients; null where their format needs none.</param>
internal sealed class ResidualStack(IReadOnlyList<Resblock> blocks, GradientScales? scales = null)
{
    /// <summary>The output for an input, with nothing kept.</summary>
    public Tensor Forward(Tensor x_RC)
    {
        using var scope = NewDisposeScope();
        foreach (var block in blocks)
        {
            x_RC = Next(block, x_RC, tape: null);
        }

        return x_RC.MoveToOuterDisposeScope();
    }

    /// <summary>A forward pass that can go back.</summary>
    /// <param name="x_RC">The input, float32; it stays the caller's.</param>
    /// <param name="recompute">Keep only each block's input, and run the block again on the way back.</param>
    public ResidualWalk Walk(Tensor x_RC, bool recompute) => new(blocks, scales, x_RC, recompute);

    internal static Tensor Next(Resblock block, Tensor x_RC, Tape? tape)
    {
        using var branch_RC = block.Forward(x_RC, tape);
        return x_RC.add(branch_RC, One);
    }
}

/// <summary>One forward pass through a residual stack, and the way back.</summary>
internal sealed class ResidualWalk : IDisposable
{
    private readonly IReadOnlyList<Resblock> _blocks;
    private readonly GradientScales? _scales;
    private readonly Stack<(Tensor Input_RC, Tape? Tape)> _passed = new();

    public ResidualWalk(IReadOnlyList<Resblock> blocks, GradientScales? scales, Tensor x_RC, bool recompute)
    {
        (_blocks, _scales) = (blocks, scales);
        foreach (var block in blocks)
        {
            var tape = recompute ? null : new Tape();
            var next_RC = ResidualStack.Next(block, x_RC, tape);
            _passed.Push((x_RC, tape));
            x_RC = next_RC;
        }

        Output = x_RC;
    }

    /// <summary>The end of the identity path, float32.</summary>
    public Tensor Output { get; }

    /// <summary>The gradient of the walk's input; the parameters' gradients are added into the store, those of a resblock with a scale multiplied by it.</summary>
    /// <param name="gradient_RC">Gradient of <see cref="Output"/>, float32; overwritten.</param>
    public Tensor Backward(Tensor gradient_RC)
    {
        for (var index = _blocks.Count - 1; index >= 0; index--)
        {
            using var scope = NewDisposeScope();
            var (input_RC, kept) = _passed.Pop();
            using var tape = kept ?? Recompute(_blocks[index], input_RC);
            gradient_RC.add_(ThroughBranch(index, gradient_RC, input_RC, tape), One);
            scope.Attach(input_RC);
        }

        return gradient_RC;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_passed.TryPop(out var passed))
        {
            passed.Tape?.Dispose();
        }
    }

    private static Tape Recompute(Resblock block, Tensor input_RC)
    {
        var tape = new Tape();
        block.Forward(input_RC, tape).Dispose();
        return tape;
    }

    // The one place where a gradient enters and leaves a resblock. A scale lifts what 16 bits would round to zero; what leaves their range all the same is set to zero, so that
    // the identity path stays finite, and shows in the parameters' gradients (paper, appendix on mixed precision).
    private Tensor ThroughBranch(int index, Tensor gradient_RC, Tensor input_RC, Tape tape)
    {
        var block = _blocks[index];
        if (_scales is null)
        {
            return block.Backward(gradient_RC.to(block.Compute), input_RC, tape);
        }

        var scale = _scales[index];
        var scaled_RC = gradient_RC.mul(Number(scale)).to(block.Compute).nan_to_num_(0, 0, 0);
        return block.Backward(scaled_RC, input_RC, tape).div_(Number(scale)).nan_to_num_(0, 0, 0);
    }
}
