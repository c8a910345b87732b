using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>A part of a batch: consecutive samples.</summary>
/// <param name="Index">Its number among the parts.</param>
/// <param name="Start">Its first sample.</param>
/// <param name="Count">Its samples.</param>
internal readonly record struct Slice(int Index, long Start, long Count)
{
    /// <summary>The slice's samples of a tensor over the batch: a view.</summary>
    public Tensor Of(Tensor batch) => batch.narrow(0, Start, Count);

    /// <summary>The slice's rows of a tensor with as many rows a sample.</summary>
    public Tensor Rows(Tensor rows, long rowsOfASample) => rows.narrow(0, Start * rowsOfASample, Count * rowsOfASample);
}

/// <summary>
/// A network once for every slice of a batch. The operations of small networks are too short to share: on two threads that meet after each one they gain little, and
/// on a busy machine lose everything. So each thread takes a slice through the whole network on its own, and gradients are added in the order of the slices.
/// </summary>
/// <remarks>Used only on the device thread. The slices depend on the batch and on the thread's libtorch threads, which belong to the job.</remarks>
internal sealed class SlicedNetwork<TNetwork> : IDisposable
{
    private readonly (ParameterStore Parameters, TNetwork Network)[] _copies;

    /// <param name="parameters">The parameters that all copies share; the caller disposes them.</param>
    /// <param name="create">Makes a network of the parameters.</param>
    public SlicedNetwork(ParameterStore parameters, Func<ParameterStore, TNetwork> create)
    {
        var slices = parameters.Master.device_type == DeviceType.CPU ? get_num_threads() : 1;
        _copies = [.. Enumerable.Range(0, slices).Select(index => index == 0 ? parameters : parameters.WithOwnGradients()).Select(store => (store, create(store)))];
    }

    /// <summary>The network, for what is not done in slices.</summary>
    public TNetwork Whole => _copies[0].Network;

    /// <summary>The slices of a batch: one for each thread if there are samples enough, else the batch as it is, every operation on all threads.</summary>
    public IReadOnlyList<Slice> Slices(long batch)
    {
        var count = batch < _copies.Length ? 1 : _copies.Length;
        return [.. Enumerable.Range(0, count).Select(index => new Slice(index, batch * index / count, (batch * (index + 1) / count) - (batch * index / count)))];
    }

    /// <summary>Runs work for every slice, side by side, and returns the results in their order.</summary>
    /// <param name="slices">As <see cref="Slices"/> gave them.</param>
    /// <param name="work">Runs in a dispose scope of its own, on any thread.</param>
    public TResult[] Run<TResult>(IReadOnlyList<Slice> slices, Func<TNetwork, Slice, TResult> work)
    {
        var results = new TResult[slices.Count];
        CpuTeam.Run(slices.Count, index =>
        {
            using var scope = NewDisposeScope();
            results[index] = work(_copies[index].Network, slices[index]);
        });
        return results;
    }

    /// <summary>The slices' rows as one tensor; of a single slice its own, not a copy.</summary>
    public static Tensor Join(Tensor[] rows) => rows is [var whole] ? whole : cat(rows);

    /// <summary>Zeroes the gradients; to be called before the first backward pass of an update.</summary>
    public void ZeroGradients()
    {
        foreach (var (parameters, _) in _copies)
        {
            parameters.ZeroGradients();
        }
    }

    /// <summary>Brings all gradients into <see cref="ParameterStore.Gradient"/>; to be called after the last backward pass of an update.</summary>
    public void CollectGradients()
    {
        _copies[0].Parameters.CollectGradients();
        foreach (var (parameters, _) in _copies[1..])
        {
            _copies[0].Parameters.AddGradients(parameters);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (parameters, network) in _copies)
        {
            (network as IDisposable)?.Dispose();
            if (parameters != _copies[0].Parameters)
            {
                parameters.Dispose();
            }
        }
    }
}
