using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;

namespace Dalle.Workers.Shards;

/// <summary>The newest states of a job that this silo keeps in memory: of its own shards, and of what no other silo would have if their own were lost.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class Snapshots
{
    /// <summary>When a silo is lost there are the state that the update before has left, and a snapshot; that may still have been on its way to other silos, and then the one before it counts.</summary>
    private const int Kept = 3;

    private readonly Lock _gate = new();
    private readonly List<(TrainingStage Stage, int Step, Dictionary<ShardPiece, StateBuffer> Pieces)> _snapshots = [];

    /// <summary>What is kept, the newest first.</summary>
    public IReadOnlyList<ShardSnapshot> Holdings
    {
        get
        {
            lock (_gate)
            {
                return [.. _snapshots.Select(snapshot => new ShardSnapshot(snapshot.Stage, snapshot.Step, [.. snapshot.Pieces.Keys.OrderBy(piece => piece.Ordinal).ThenBy(piece => piece.Replica ?? -1)]))];
            }
        }
    }

    /// <summary>A piece; null if it is not kept.</summary>
    public StateBuffer? Find(TrainingStage stage, int step, ShardPiece piece)
    {
        lock (_gate)
        {
            return _snapshots.Find(snapshot => snapshot.Stage == stage && snapshot.Step == step).Pieces?.GetValueOrDefault(piece);
        }
    }

    /// <summary>Keeps a piece, which is not to be changed from now on. Snapshots of other stages are let go of, and older ones than the three newest.</summary>
    public void Keep(TrainingStage stage, int step, ShardPiece piece, StateBuffer buffer)
    {
        lock (_gate)
        {
            Drop(snapshot => snapshot.Stage != stage);
            var index = _snapshots.FindIndex(snapshot => snapshot.Step <= step);
            index = index < 0 ? _snapshots.Count : index;
            if (index == _snapshots.Count || _snapshots[index].Step != step)
            {
                _snapshots.Insert(index, (stage, step, []));
            }

            if (_snapshots[index].Pieces.Remove(piece, out var before))
            {
                before.Dispose();
            }

            _snapshots[index].Pieces.Add(piece, buffer);
            var oldest = _snapshots.Count > Kept ? _snapshots[Kept - 1].Step : int.MinValue;
            Drop(snapshot => snapshot.Step < oldest);
        }
    }

    /// <summary>Lets go of everything.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            Drop(_ => true);
        }
    }

    private void Drop(Func<(TrainingStage Stage, int Step, Dictionary<ShardPiece, StateBuffer> Pieces), bool> which)
    {
        foreach (var snapshot in _snapshots.Where(which).ToArray())
        {
            foreach (var buffer in snapshot.Pieces.Values)
            {
                buffer.Dispose();
            }

            _snapshots.Remove(snapshot);
        }
    }
}
