using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Network = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Collectives.Tests.Sharding;

public sealed class ShardPlanTests
{
    public static TheoryData<string> Presets => [.. Preset.All.Select(preset => preset.Name)];

    public static MatrixTheoryData<string, int> PresetsAndOrdinals => new(Preset.All.Select(preset => preset.Name), [1, 2, 3, 5, 8]);

    private static readonly ParameterSpec[] Example =
    [
        new("token", ParameterKind.Embedding, 0, 1, 2, 3),
        new("gain", ParameterKind.Gain, 1, 0, 4),
        new("kernel", ParameterKind.Weight, 0, 1, 7, 2, 3, 3),
        new("unembedding", ParameterKind.FullPrecisionWeight, 0, 1, 5, 3),
        new("weight", ParameterKind.Weight, 0, 1, 4, 3),
    ];

    [Fact]
    public void Shards_OfASmallExample_AreTheApprovedOnes() => Assert.Equal(
        [
            "0: kernel rows 0+3 [3, 2, 3, 3] at 0", "0: weight rows 0+1 [1, 3] at 54", "0: unembedding rows 0+1 [1, 3] at 57", "0: token rows 0+0 [0, 3] at 60", "0: gain rows 0+1 [1] at 60",
            "1: kernel rows 3+2 [2, 2, 3, 3] at 0", "1: weight rows 1+2 [2, 3] at 36", "1: unembedding rows 1+2 [2, 3] at 42", "1: token rows 0+1 [1, 3] at 48", "1: gain rows 1+1 [1] at 51",
            "2: kernel rows 5+2 [2, 2, 3, 3] at 0", "2: weight rows 3+1 [1, 3] at 36", "2: unembedding rows 3+2 [2, 3] at 39", "2: token rows 1+1 [1, 3] at 45", "2: gain rows 2+2 [2] at 48",
        ],
        Lines(new ShardPlan(Example, 3)));

    [Theory]
    [MemberData(nameof(PresetsAndOrdinals))]
    public void Shards_OfEveryPreset_HoldEveryElementOnce_AndAreBalanced(string preset, int ordinals)
    {
        foreach (var specs in Networks(preset))
        {
            var plan = new ShardPlan(specs, ordinals);

            Assert.Equal(specs.Sum(spec => spec.Count), plan.Shards.Sum(shard => shard.Count));
            Assert.All(specs, spec => AssertWhole(spec, plan.SlicesOf(spec.Name)));
            Assert.All(plan.Shards, AssertContiguous);
            Assert.InRange(plan.Shards.Max(shard => shard.Count) - plan.Shards.Min(shard => shard.Count), 0, specs.Max(spec => spec.Count / spec.Shape[0]));
        }
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void Shard_OfOne_IsLaidOutAsTheWholeNetwork(string preset)
    {
        var specs = TransformerParameters.Declare(Preset.Find(preset).Transformer);
        var shard = Assert.Single(new ShardPlan(specs, 1).Shards);

        Assert.Equal(ParameterStore.InStorageOrder(specs).Select(spec => spec.Name), shard.Slices.Select(slice => slice.Name));
        Assert.Equal(specs.Where(spec => spec.Decays).Sum(spec => spec.Count), shard.DecayedCount);
        Assert.Equal(shard.DecayedCount, shard.Slices.First(slice => !slice.Parameter.Decays).Offset);
    }

    [Fact]
    public void Rows_DoNotDependOnTheOrderOfDeclaration()
    {
        var forward = new ShardPlan(Example, 3);
        var backward = new ShardPlan([.. Example.Reverse()], 3);

        Assert.All(Example, spec => Assert.Equal(
            forward.SlicesOf(spec.Name).Select(slice => (slice.FirstRow, slice.Rows)), backward.SlicesOf(spec.Name).Select(slice => (slice.FirstRow, slice.Rows))));
    }

    [Fact]
    public void Plan_OfWhatCannotBeSplit_SaysSo()
    {
        Assert.Contains("'gain' is declared twice", Assert.Throws<ArgumentException>(() => new ShardPlan([Example[1], Example[1]], 2)).Message);
        Assert.Contains("'none' has no rows", Assert.Throws<ArgumentException>(() => new ShardPlan([new("none", ParameterKind.Bias, 0, 0)], 2)).Message);
        Assert.Contains("got 0", Assert.Throws<ArgumentException>(() => new ShardPlan(Example, 0)).Message);
        Assert.Contains("no parameter 'other'", Assert.Throws<KeyNotFoundException>(() => new ShardPlan(Example, 2).Shards[0]["other"]).Message);
    }

    private static IReadOnlyList<ParameterSpec>[] Networks(string preset) =>
        [TransformerParameters.Declare(Preset.Find(preset).Transformer), Network.Declare(Preset.Find(preset).DiscreteVae)];

    private static void AssertWhole(ParameterSpec spec, IReadOnlyList<ShardSlice> slices)
    {
        long row = 0;
        foreach (var slice in slices)
        {
            Assert.Equal((row, row * slice.RowLength), (slice.FirstRow, slice.ArrayOffset));
            Assert.Equal(slice.Count, slice.Shape.Aggregate(1L, (product, dimension) => product * dimension));
            row += slice.Rows;
        }

        Assert.Equal(spec.Shape[0], row);
        Assert.InRange(slices.Max(slice => slice.Rows) - slices.Min(slice => slice.Rows), 0, 1);
    }

    private static void AssertContiguous(Shard shard)
    {
        long offset = 0;
        foreach (var slice in shard.Slices)
        {
            Assert.Equal((offset, shard.Ordinal), (slice.Offset, slice.Ordinal));
            offset += slice.Count;
        }

        Assert.Equal(shard.Count, offset);
    }

    private static IEnumerable<string> Lines(ShardPlan plan) => plan.Shards.SelectMany(shard => shard.Slices.Select(
        slice => $"{shard.Ordinal}: {slice.Name} rows {slice.FirstRow}+{slice.Rows} [{string.Join(", ", slice.Shape)}] at {slice.Offset}"));
}
