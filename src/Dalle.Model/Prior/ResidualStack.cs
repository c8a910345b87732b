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

    /// <summary>A way through the stack that can go back.</summary>
    /// <param name="x_RC">The input, float32; the walk disposes of it.</param>
    /// <param name="recompute">Keep only each block's input, and run the block again on the way back.</param>
    public ResidualWalk Walk(Tensor x_RC, bool recompute) => new(blocks, scales, x_RC, recompute);

    internal static Tensor Next(Resblock block, Tensor x_RC, Tape? tape)
    {
        using var branch_RC = block.Forward(x_RC, tape);
        return x_RC.add(branch_RC, One);
    }
}

/// <summary>One way through a residual stack and back, a block at a time: between two blocks their parameters may change places.</summary>
internal sealed class ResidualWalk(IReadOnlyList<Resblock> blocks, GradientScales? scales, Tensor x_RC, bool recompute) : IDisposable
{
    private readonly Stack<(Tensor Input_RC, Tape? Tape)> _passed = new();
    private Tensor _here_RC = x_RC.DetachFromDisposeScope();

    /// <summary>Blocks in all.</summary>
    public int Length => blocks.Count;

    /// <summary>The identity path where the walk is, float32.</summary>
    public Tensor Here => _here_RC;

    /// <summary>Goes forward through the next block.</summary>
    public void Forward()
    {
        var tape = recompute ? null : new Tape();
        var next_RC = ResidualStack.Next(blocks[_passed.Count], _here_RC, tape).DetachFromDisposeScope();
        _passed.Push((_here_RC, tape));
        _here_RC = next_RC;
    }

    /// <summary>Goes back through the last block. Its parameters' gradients are added into the store, those of a block with a scale multiplied by it.</summary>
    /// <param name="gradient_RC">Gradient of <see cref="Here"/>, float32; becomes that of where the walk then is.</param>
    public void Backward(Tensor gradient_RC)
    {
        using var scope = NewDisposeScope();
        var (input_RC, kept) = _passed.Pop();
        _here_RC.Dispose();
        _here_RC = input_RC;
        using var tape = kept ?? Recompute(blocks[_passed.Count], input_RC);
        gradient_RC.add_(ThroughBranch(_passed.Count, gradient_RC, input_RC, tape), One);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _here_RC.Dispose();
        while (_passed.TryPop(out var passed))
        {
            passed.Input_RC.Dispose();
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
        var block = blocks[index];
        if (scales is null)
        {
            return block.Backward(gradient_RC.to(block.Compute), input_RC, tape);
        }

        var scale = scales[index];
        var scaled_RC = gradient_RC.mul(Number(scale)).to(block.Compute).nan_to_num_(0, 0, 0);
        return block.Backward(scaled_RC, input_RC, tape).div_(Number(scale)).nan_to_num_(0, 0, 0);
    }
}
