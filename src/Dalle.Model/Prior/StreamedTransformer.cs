using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>
/// The network of a process that holds some rows of it only (paper, section 2.4). Two resblocks are whole at a time, in a slot each: the one that is computed with and the next one, which is
/// gathered beside. Their gradients are given away while the next ones are computed.
/// </summary>
/// <remarks>
/// All workers of the process go through a resblock before any goes on to the next. Used only on the device's thread; what it computes is what <see cref="SlicedNetwork{TNetwork}"/> computes
/// with whole arrays, to the bit.
/// </remarks>
internal sealed class StreamedTransformer : IDisposable
{
    /// <summary>Resblocks come in turn as attention and hidden layer: each kind has a slot.</summary>
    private const int SlotCount = 2;

    private readonly TransformerConfig _config;
    private readonly PriorTraining _training;
    private readonly GradientScales? _scales;
    private readonly IReadOnlyList<string> _resblocks;
    private readonly ParameterStore _whole;
    private readonly Slot[] _slots;
    private readonly List<StreamedWorker> _workers = [];
    private readonly List<ParameterStore> _copies = [];

    /// <param name="config">The network's shape.</param>
    /// <param name="training">How it is trained.</param>
    /// <param name="whole">What is not in resblocks; the caller disposes of it.</param>
    /// <param name="scales">Scales of the resblocks' gradients; null for none.</param>
    public StreamedTransformer(TransformerConfig config, PriorTraining training, ParameterStore whole, GradientScales? scales)
    {
        (_config, _training, _whole, _scales, _resblocks) = (config, training, whole, scales, TransformerParameters.Resblocks(config));
        _slots = [.. _resblocks.Take(SlotCount).Select(resblock => new Slot(
            new ParameterStore(TransformerParameters.OfResblock(config, resblock), training.Precision, whole.Master.device, trains: true, masters: false)))];
    }

    /// <summary>Bytes of the arrays that are whole here, and of gradients.</summary>
    public long Bytes => _slots.Select(slot => slot.Arrays).Concat(_copies).Append(_whole).Sum(store => store.Bytes);

    /// <summary>What each worker's rows add to the gradients of the whole batch's loss: those of resblocks go to the exchange, the others are in the workers' stores.</summary>
    /// <param name="batches">Text tokens <c>[b, T]</c> and image tokens <c>[b, N]</c> of each worker that is here.</param>
    /// <param name="tokens">The predicted tokens of the whole batch.</param>
    /// <param name="exchange">Gathers resblocks and takes gradients; to be disposed of before the next update.</param>
    public IReadOnlyList<PriorGradients> Gradients(IReadOnlyList<(Tensor Text_bT, Tensor Image_bN)> batches, PredictedTokens tokens, IWorkerExchange exchange)
    {
        using var scope = NewDisposeScope();
        while (_workers.Count < batches.Count)
        {
            _workers.Add(NewWorker());
        }

        // What an update that was given up has left under way reads and writes the slots.
        Array.ForEach(_slots, slot => slot.Settle());
        var workers = _workers.Take(batches.Count).ToArray();
        try
        {
            return Gradients(workers, batches, tokens, exchange);
        }
        finally
        {
            Array.ForEach(workers, worker => worker.End());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(_slots, slot => slot.Settle());
        foreach (var worker in _workers)
        {
            worker.Dispose();
        }

        foreach (var store in _slots.Select(slot => slot.Arrays).Concat(_copies))
        {
            store.Dispose();
        }
    }

    private PriorGradients[] Gradients(StreamedWorker[] workers, IReadOnlyList<(Tensor Text_bT, Tensor Image_bN)> batches, PredictedTokens tokens, IWorkerExchange exchange)
    {
        Gather(0, NetworkWay.Forward, exchange);
        foreach (var (worker, batch) in workers.Zip(batches))
        {
            worker.Begin(batch.Text_bT, batch.Image_bN, _training, tokens);
        }

        for (var resblock = 0; resblock < _resblocks.Count; resblock++)
        {
            SlotOf(resblock).AwaitArrays();
            Gather(resblock + 1, NetworkWay.Forward, exchange);
            Array.ForEach(workers, worker => worker.Run(pass => pass.Forward()));
        }

        PriorLosses[] losses = [.. workers.Select(worker => worker.Turn())];
        var finite = Array.ConvertAll(workers, _ => _scales is null ? null : new bool[_resblocks.Count]);
        for (var resblock = _resblocks.Count - 1; resblock >= 0; resblock--)
        {
            var slot = SlotOf(resblock);
            slot.AwaitArrays();
            Gather(resblock - 1, NetworkWay.Backward, exchange);
            slot.AwaitGradients();
            foreach (var (i, worker) in workers.Index())
            {
                worker.Backward(resblock % SlotCount);
                if (finite[i] is { } answers)
                {
                    answers[resblock] = Unscale(worker.Slots[resblock % SlotCount].Gradient, _scales![resblock]);
                }
            }

            slot.Reduce(exchange.Reduce(_resblocks[resblock], [.. workers.Select(worker => worker.Slots[resblock % SlotCount])]));
        }

        foreach (var (i, worker) in workers.Index())
        {
            worker.Finish();
            exchange.Add(i, worker.Whole.Gradient);
        }

        Array.ForEach(_slots, slot => slot.AwaitGradients());
        return [.. losses.Select((loss, i) => new PriorGradients(loss, finite[i]))];
    }

    // The last two resblocks of the way forward are still there on the way back.
    private void Gather(int resblock, NetworkWay way, IWorkerExchange exchange)
    {
        if (resblock < 0 || resblock >= _resblocks.Count || (way == NetworkWay.Backward && resblock >= _resblocks.Count - SlotCount))
        {
            return;
        }

        var slot = SlotOf(resblock);
        slot.Gather(exchange.Gather(way, _resblocks[resblock], slot.Arrays));
    }

    private Slot SlotOf(int resblock) => _slots[resblock % SlotCount];

    private static bool Unscale(Tensor gradient_N, double scale)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return ScaledGradients.Unscale(scale, gradient_N).item<bool>();
    }

    // The first worker has the stores themselves, others the same parameters with their own gradients.
    private StreamedWorker NewWorker()
    {
        ParameterStore[] stores = [_whole, .. _slots.Select(slot => slot.Arrays)];
        if (_workers.Count > 0)
        {
            stores = Array.ConvertAll(stores, store => store.WithOwnGradients());
            _copies.AddRange(stores);
        }

        return new(_config, stores[0], stores[1..], _scales);
    }

    /// <summary>A place for one resblock at a time, and what is under way with it.</summary>
    private sealed class Slot(ParameterStore arrays)
    {
        private Task _gathering = Task.CompletedTask;
        private Task _reducing = Task.CompletedTask;

        public ParameterStore Arrays => arrays;

        public void Gather(Task gathering) => _gathering = gathering;

        public void AwaitArrays() => _gathering.GetAwaiter().GetResult();

        public void Reduce(Task reducing) => _reducing = reducing;

        public void AwaitGradients() => _reducing.GetAwaiter().GetResult();

        public void Settle()
        {
            foreach (var task in (IAsyncResult[])[_gathering, _reducing])
            {
                task.AsyncWaitHandle.WaitOne();
            }

            (_gathering, _reducing) = (Task.CompletedTask, Task.CompletedTask);
        }
    }
}
