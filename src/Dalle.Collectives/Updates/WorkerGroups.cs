using Dalle.Collectives.Groups;
using Dalle.Collectives.Transport;
using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Collectives.Updates;

/// <summary>
/// The groups that the workers of a process belong to in one membership epoch: the ordinals of each replica, the replicas of each ordinal, and all workers. The thread waits until all of an
/// operation is there, unless it is said to begin only.
/// </summary>
internal sealed class WorkerGroups
{
    /// <summary>Elements of a piece that an array is summed in: spans end at 2 GiB.</summary>
    private const long PieceElements = 1 << 28;

    /// <summary>Pieces of an array, at most: tags leave room for so many.</summary>
    private const int MostPieces = 64;

    private readonly WorkerGrid _grid;
    private readonly HeldRows _held;
    private readonly CollectiveGroup _all;
    private readonly CollectiveGroup[] _replicas;
    private readonly CollectiveGroup[] _ordinals;

    /// <param name="grid">The workers and their hosts.</param>
    /// <param name="held">The rows of the ordinals that are here.</param>
    /// <param name="transport">The way to the other hosts.</param>
    /// <param name="epoch">The membership epoch.</param>
    public WorkerGroups(WorkerGrid grid, HeldRows held, IMessageTransport transport, int epoch)
    {
        (_grid, _held) = (grid, held);
        _all = new(transport, grid.All, epoch);
        _replicas = [.. grid.Own.OwnReplicas.Select(replica => new CollectiveGroup(transport, grid.OfReplica(replica), epoch))];
        _ordinals = [.. grid.Own.OwnOrdinals.Select(ordinal => new CollectiveGroup(transport, grid.OfOrdinal(ordinal), epoch))];
    }

    /// <summary>Payload bytes sent to other processes.</summary>
    public long SentBytes => _ordinals.Concat(_replicas).Append(_all).Sum(group => group.SentBytes);

    /// <summary>Sums gradients over the ordinals of a replica that is here, where all rows are held.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="replica">The replica's place among those that are here.</param>
    /// <param name="own">Whole gradients of its workers that are here, float32, flat.</param>
    /// <param name="target_N">Gets the sum; may be one of them.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public void ReduceReplica(long step, int replica, IReadOnlyList<Tensor> own, Tensor target_N, CancellationToken cancellationToken)
    {
        if (own.Count > 1 || own[0].Handle != target_N.Handle)
        {
            using var scope = NewDisposeScope();
            Wait(AllReduce(_replicas[replica], step, Operation.Gradient, 0, own, target_N, cancellationToken));
        }
    }

    /// <summary>Sums gradients over the ordinals of the replica that is here, where some rows are held elsewhere: begins to.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="prefix">What the arrays' names in the network begin with.</param>
    /// <param name="own">The arrays, with the collected gradients of each worker that is here.</param>
    /// <param name="target_N">Gets the held rows of the sum, laid out like all held rows.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public Task ReduceReplica(long step, string prefix, IReadOnlyList<(ParameterStore Arrays, Tensor Gradient)> own, Tensor target_N, CancellationToken cancellationToken) =>
        EachArray("reduce", prefix, own[0].Arrays, (name, array, counts, view) => _replicas[0].ReduceScatter(
            new(step, (int)Operation.Gradient + array),
            [.. own.Select(worker => Elements.Of(view(worker.Arrays.View(worker.Gradient, name))))],
            Elements.Of(view(_held.Array(target_N, array))),
            counts,
            cancellationToken));

    /// <summary>Gathers the rows of all ordinals of the replica that is here: begins to.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="operation">What they are.</param>
    /// <param name="prefix">What the arrays' names in the network begin with.</param>
    /// <param name="held_N">All held rows.</param>
    /// <param name="arrays">What is gathered.</param>
    /// <param name="whole">What gets an array by its name; it may be of 16 bits.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public Task Gather(long step, Operation operation, string prefix, Tensor held_N, ParameterStore arrays, Func<string, Tensor> whole, CancellationToken cancellationToken) =>
        EachArray("gather", prefix, arrays, (name, array, counts, view) =>
        {
            var target = view(whole(name));
            var rows = view(_held.Array(held_N, array));
            return _replicas[0].AllGather(
                new(step, (int)operation + array), Elements.OfBits(rows.dtype == target.dtype ? rows : view(rows.to(target.dtype))), Elements.OfBits(target), counts, cancellationToken);
        });

    /// <summary>Sums buffers over the replicas, of each ordinal that is here into the first of its buffers, all ordinals side by side.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="operation">What they are.</param>
    /// <param name="buffers">Of each ordinal that is here, a buffer of each replica that is.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public void ReduceOrdinals(long step, Operation operation, IReadOnlyList<IReadOnlyList<Tensor>> buffers, CancellationToken cancellationToken)
    {
        using var span = UpdateTracing.Begin("exchange");
        using var scope = NewDisposeScope();
        Wait([.. buffers.SelectMany((own, i) => AllReduce(_ordinals[i], step, operation, _grid.Own.FirstOrdinal + i, own, own[0], cancellationToken))]);
    }

    /// <summary>Sums buffers of one ordinal that is here over the replicas, into the first of them.</summary>
    public void ReduceOrdinal(long step, Operation operation, int ordinal, IReadOnlyList<Tensor> own, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        Wait(AllReduce(_ordinals[ordinal - _grid.Own.FirstOrdinal], step, operation, ordinal, own, own[0], cancellationToken));
    }

    /// <summary>Gathers as many words of every worker.</summary>
    /// <param name="step">The update's number.</param>
    /// <param name="operation">What they are.</param>
    /// <param name="own">Those of the workers that are here.</param>
    /// <param name="cancellationToken">Gives up waiting for the peers.</param>
    public ulong[] Gather(long step, Operation operation, ulong[] own, CancellationToken cancellationToken)
    {
        var all = new ulong[own.Length / _grid.OwnWorkers.Count * _grid.Workers];
        Wait(_all.AllGather(new(step, (int)operation), Elements.OfWords(own), Elements.OfWords(all), cancellationToken: cancellationToken));
        return all;
    }

    /// <summary>Waits for operations.</summary>
    public static void Wait(params Task[] tasks) => Task.WhenAll(tasks).GetAwaiter().GetResult();

    // Views are kept until the operation has ended, and disposed of then, on whatever thread.
    private async Task EachArray(string name, string prefix, ParameterStore arrays, Func<string, int, int[], Func<Tensor, Tensor>, Task> operation)
    {
        using var span = UpdateTracing.Begin(name);
        var views = new List<Tensor>();
        try
        {
            await Task.WhenAll(arrays.Specs.Select(spec =>
            {
                using var untracked = no_grad();
                var array = prefix + spec.Name;
                var counts = _held.Plan.SlicesOf(array).Select(slice => checked((int)slice.Count)).ToArray();
                return operation(spec.Name, _held.Find(array)!.Value, counts, View);
            }).ToArray());
        }
        finally
        {
            views.ForEach(view => view.Dispose());
        }

        Tensor View(Tensor view)
        {
            views.Add(view.DetachFromDisposeScope());
            return view;
        }
    }

    private static Task[] AllReduce(CollectiveGroup group, long step, Operation operation, int index, IReadOnlyList<Tensor> sources, Tensor target_N, CancellationToken cancellationToken)
    {
        var count = target_N.numel();
        return [.. Enumerable.Range(0, (int)((count + PieceElements - 1) / PieceElements)).Select(piece =>
        {
            var (start, length) = (piece * PieceElements, Math.Min(PieceElements, count - (piece * PieceElements)));
            var key = new CollectiveKey(step, (int)operation + (index * MostPieces) + piece);
            return group.AllReduce(key, [.. sources.Select(source => Elements.Of(source.narrow(0, start, length)))], Elements.Of(target_N.narrow(0, start, length)), cancellationToken);
        })];
    }
}

/// <summary>What is exchanged within a step: tags of messages begin with it.</summary>
internal enum Operation
{
    Gradient = 1 << 24,
    LeftFactors = 2 << 24,
    RightFactors = 3 << 24,
    Ballots = 4 << 24,
    Parameters = 5 << 24,
    Average = 6 << 24,
    Meeting = 7 << 24,
    Errors = 8 << 24,
    ResblocksForward = 9 << 24,
    ResblocksBackward = 10 << 24,
}
