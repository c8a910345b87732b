using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>One of the workers of a <see cref="StreamedTransformer"/>: its batch, in slices as in <see cref="SlicedNetwork{TNetwork}"/>, and gradients of its own.</summary>
internal sealed class StreamedWorker : IDisposable
{
    private readonly SlicedGradients _whole;
    private readonly SlicedGradients[] _slots;
    private readonly Transformer[] _networks;
    private readonly List<TransformerPass> _passes = [];

    /// <param name="config">The network's shape.</param>
    /// <param name="whole">What is not in resblocks; the worker disposes of it if it is a copy of another worker's.</param>
    /// <param name="slots">What resblocks compute with, attention and hidden layer; likewise.</param>
    /// <param name="scales">Scales of the resblocks' gradients; null for none.</param>
    public StreamedWorker(TransformerConfig config, ParameterStore whole, IReadOnlyList<ParameterStore> slots, GradientScales? scales)
    {
        (Whole, Slots) = (whole, slots);
        var slices = Slice.Most(whole.Master.device);
        _whole = new(whole, slices);
        _slots = [.. slots.Select(slot => new SlicedGradients(slot, slices))];
        _networks = [.. Enumerable.Range(0, slices).Select(slice => new Transformer(config, _whole[slice], scales, (_slots[0][slice], _slots[1][slice])))];
    }

    /// <summary>What is not in resblocks, with the worker's gradients.</summary>
    public ParameterStore Whole { get; }

    /// <summary>What resblocks compute with, with the worker's gradients.</summary>
    public IReadOnlyList<ParameterStore> Slots { get; }

    /// <summary>Begins an update.</summary>
    public void Begin(Tensor text_bT, Tensor image_bN, PriorTraining training, PredictedTokens whole)
    {
        _whole.Zero();
        var slices = Slice.Cut(text_bT.shape[0], _networks.Length).Select(slice => (slice.Index, Text: slice.Of(text_bT), Image: slice.Of(image_bN))).ToArray();
        var passes = new TransformerPass[slices.Length];
        CpuTeam.Run(slices.Length, slice => passes[slice] = _networks[slice].Begin(slices[slice].Text, slices[slice].Image, training.TextLossWeight, training.Recompute, whole));
        _passes.AddRange(passes);
    }

    /// <summary>Does something with every slice, side by side.</summary>
    public void Run(Action<TransformerPass> work) => CpuTeam.Run(_passes.Count, slice => work(_passes[slice]));

    /// <summary>Takes the losses: those of the worker's part of the batch.</summary>
    public PriorLosses Turn()
    {
        var losses = new PriorLosses[_passes.Count];
        CpuTeam.Run(losses.Length, slice => losses[slice] = _passes[slice].Turn());
        return losses.Aggregate((a, b) => a + b);
    }

    /// <summary>Goes back through the resblock that is in a slot, whose store then has the worker's gradients of it.</summary>
    public void Backward(int slot)
    {
        _slots[slot].Zero();
        Run(pass => pass.Backward());
        _slots[slot].Collect();
    }

    /// <summary>Ends the way back: <see cref="Whole"/> has the worker's gradients.</summary>
    public void Finish()
    {
        Run(pass => pass.Finish());
        _whole.Collect();
        End();
    }

    /// <summary>Forgets the update.</summary>
    public void End()
    {
        _passes.ForEach(pass => pass.Dispose());
        _passes.Clear();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End();
        foreach (var network in _networks)
        {
            network.Dispose();
        }

        foreach (var gradients in _slots.Append(_whole))
        {
            gradients.Dispose();
        }
    }
}
