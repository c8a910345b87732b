using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Workers.Shards;

namespace Dalle.Workers.Tests.Shards;

public sealed class SnapshotsTests
{
    private const TrainingStage Stage = TrainingStage.Prior;

    private readonly Snapshots _snapshots = new();

    [Fact]
    public void Keep_KeepsTheThreeNewest_InWhateverOrderTheirPiecesCome()
    {
        Keep(10, new(0));
        Keep(20, new(0));
        Keep(10, new(0, 1));
        Keep(30, new(0));
        Keep(20, new(0, 1));
        Keep(40, new(0));

        Assert.Equal([(40, "(0, )"), (30, "(0, )"), (20, "(0, ) (0, 1)")], Kept());
        Assert.Null(_snapshots.Find(Stage, 10, new(0)));
        Assert.NotNull(_snapshots.Find(Stage, 20, new(0, 1)));
    }

    [Fact]
    public void Keep_OfAnotherStage_LetsGoOfTheStageBefore()
    {
        Keep(10, new(0));
        _snapshots.Keep(TrainingStage.DiscreteVae, 5, new(0), new StateBuffer(1));

        Assert.Equal([(5, "(0, )")], Kept());
    }

    [Fact]
    public void Keep_OfAPieceThatIsThere_TakesItsPlace()
    {
        Keep(10, new(0));
        var second = new StateBuffer(2);
        _snapshots.Keep(Stage, 10, new(0), second);

        Assert.Same(second, _snapshots.Find(Stage, 10, new(0)));
    }

    [Fact]
    public void Clear_LetsGoOfAll()
    {
        Keep(10, new(0));
        _snapshots.Clear();

        Assert.Empty(_snapshots.Holdings);
    }

    private void Keep(int step, ShardPiece piece) => _snapshots.Keep(Stage, step, piece, new StateBuffer(1));

    private IEnumerable<(int Step, string Pieces)> Kept() =>
        _snapshots.Holdings.Select(snapshot => (snapshot.Step, string.Join(' ', snapshot.Pieces.Select(piece => $"({piece.Ordinal}, {piece.Replica})"))));
}
