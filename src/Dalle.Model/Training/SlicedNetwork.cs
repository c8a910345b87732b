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

    /// <summary>How many slices a batch is cut into at most on a device: one for each of the thread's libtorch threads, which belong to the job.</summary>
    public static int Most(Device device) => device.type == DeviceType.CPU ? get_num_threads() : 1;

    /// <summary>The slices of a batch: as many if there are samples enough, else the batch as it is, every operation on all threads.</summary>
    public static IReadOnlyList<Slice> Cut(long batch, int slices)
    {
        var count = batch < slices ? 1 : slices;
        return [.. Enumerable.Range(0, count).Select(index => new Slice(index, batch * index / count, (batch * (index + 1) / count) - (batch * index / count)))];
    }
}

/// <summary>
/// A network once for every slice of a batch. The operations of small networks are too short to share: on two threads that meet after each one they gain little, and
/// on a busy machine lose everything. So each thread takes a slice through the whole network on its own, and gradients are added in the order of the slices.
/// </summary>
/// <remarks>Used only on the device thread.</remarks>
internal sealed class SlicedNetwork<TNetwork> : IDisposable
{
    private readonly SlicedGradients _gradients;
    private readonly TNetwork[] _networks;

    /// <param name="parameters">The parameters that all copies share; the caller disposes them.</param>
    /// <param name="create">Makes a network of the parameters.</param>
    public SlicedNetwork(ParameterStore parameters, Func<ParameterStore, TNetwork> create)
    {
        var slices = Slice.Most(parameters.Master.device);
        _gradients = new(parameters, slices);
        _networks = [.. Enumerable.Range(0, slices).Select(slice => create(_gradients[slice]))];
    }

    /// <summary>The network, for what is not done in slices.</summary>
    public TNetwork Whole => _networks[0];

    /// <inheritdoc cref="Slice.Cut"/>
    public IReadOnlyList<Slice> Slices(long batch) => Slice.Cut(batch, _networks.Length);

    /// <summary>Runs work for every slice, side by side, and returns the results in their order.</summary>
    /// <param name="slices">As <see cref="Slices"/> gave them.</param>
    /// <param name="work">Runs in a dispose scope of its own, on any thread.</param>
    public TResult[] Run<TResult>(IReadOnlyList<Slice> slices, Func<TNetwork, Slice, TResult> work)
    {
        var results = new TResult[slices.Count];
        CpuTeam.Run(slices.Count, index =>
        {
            using var scope = NewDisposeScope();
            results[index] = work(_networks[index], slices[index]);
        });
        return results;
    }

    /// <summary>The slices' rows as one tensor; of a single slice its own, not a copy.</summary>
    public static Tensor Join(Tensor[] rows) => rows is [var whole] ? whole : cat(rows);

    /// <inheritdoc cref="SlicedGradients.Zero"/>
    public void ZeroGradients() => _gradients.Zero();

    /// <inheritdoc cref="SlicedGradients.Collect"/>
    public void CollectGradients() => _gradients.Collect();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var network in _networks)
        {
            (network as IDisposable)?.Dispose();
        }

        _gradients.Dispose();
    }
}
