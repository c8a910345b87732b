using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>
/// One way of a batch, or of a part of it, through a transformer to its losses, and back to the gradients: <see cref="Forward"/> for every resblock, <see cref="Turn"/>,
/// <see cref="Backward"/> for every resblock, <see cref="Finish"/>.
/// </summary>
/// <remarks>What lasts from one call to the next belongs to the pass, so each call may run on another thread.</remarks>
internal sealed class TransformerPass(Transformer network, ResidualWalk walk, Tensor text_BT, Tensor image_BN, double textLossWeight, PredictedTokens whole) : IDisposable
{
    private Tensor? _gradient_RC;

    /// <summary>Resblocks on the way.</summary>
    public int Resblocks => walk.Length;

    /// <summary>Goes through the next resblock.</summary>
    public void Forward()
    {
        using var untracked = no_grad();
        walk.Forward();
    }

    /// <summary>Takes the losses, and begins the way back.</summary>
    public PriorLosses Turn()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var (losses, gradient_RC) = network.TurnAround(walk.Here, text_BT, image_BN, textLossWeight, whole);
        _gradient_RC = gradient_RC.DetachFromDisposeScope();
        return losses;
    }

    /// <summary>Goes back through the last resblock, and adds its parameters' gradients.</summary>
    public void Backward()
    {
        using var untracked = no_grad();
        walk.Backward(_gradient_RC!);
    }

    /// <summary>Adds the gradients of the embeddings.</summary>
    public void Finish()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        network.FinishBackward(_gradient_RC!, text_BT, image_BN);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        walk.Dispose();
        _gradient_RC?.Dispose();
    }
}
