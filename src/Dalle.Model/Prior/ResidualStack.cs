using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>The resblocks in order, around a 32-bit identity path.</summary>
internal sealed class ResidualStack(IReadOnlyList<Resblock> blocks)
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
    public ResidualWalk Walk(Tensor x_RC, bool recompute) => new(blocks, x_RC, recompute);

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
    private readonly Stack<(Tensor Input_RC, Tape? Tape)> _passed = new();

    public ResidualWalk(IReadOnlyList<Resblock> blocks, Tensor x_RC, bool recompute)
    {
        _blocks = blocks;
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

    /// <summary>The gradient of the walk's input; the parameters' gradients are added into the store.</summary>
    /// <param name="gradient_RC">Gradient of <see cref="Output"/>, float32; overwritten.</param>
    public Tensor Backward(Tensor gradient_RC)
    {
        foreach (var block in _blocks.Reverse())
        {
            using var scope = NewDisposeScope();
            var (input_RC, kept) = _passed.Pop();
            using var tape = kept ?? Recompute(block, input_RC);
            gradient_RC.add_(ThroughBranch(block, gradient_RC, input_RC, tape), One);
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

    // The one place where a gradient enters and leaves a resblock: scaling by resblock belongs here (paper, appendix on mixed precision).
    private static Tensor ThroughBranch(Resblock block, Tensor gradient_RC, Tensor input_RC, Tape tape) =>
        block.Backward(gradient_RC.to(block.Compute), input_RC, tape);
}
