using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

public sealed class CompressionPlanTests
{
    public static MatrixTheoryData<string, int> PresetsAndOrdinals => new(["tiny", "test", "emoji", "small", "dalle-2.8b", "dalle-12b"], [1, 2, 3, 8]);

    // 4 (21 + 67) < 21 * 67, but 4 (4 + 5) > 4 * 5: the second travels as it is, as do embeddings, unembeddings, gains and biases.
    [Fact]
    public void Buffers_OfASmallExample_HaveTheSizesOfTheFormula()
    {
        var plan = PlanOf(
            4, Weight("a", 21, 67), Weight("b", 4, 5), Weight("c", 67, 21), Weight("kernel", 20, 7, 3, 3), Weight("d", 21, 67),
            new("unembedding", ParameterKind.FullPrecisionWeight, 0, 1, 40, 30), new("token", ParameterKind.Embedding, 0, 1, 40, 30), new("bias", ParameterKind.Bias, 0, 0, 11));

        Assert.Equal((3 * 21 * 67) + (20 * 63), plan.CompressedCount);
        Assert.Equal((4 * 5) + 1200 + 1200 + 11, plan.UncompressedCount);
        Assert.Equal(4 * ((3 * 21) + 20), plan.LeftCount);
        Assert.Equal((4 * ((3 * 67) + 63)) + plan.UncompressedCount + 1, plan.RightCount);
        Assert.Equal(4 * (plan.LeftCount + plan.RightCount), plan.BytesPerUpdate);
        Assert.Equal(4 * (plan.Shard.Count + 1), plan.UncompressedBytesPerUpdate);
        Assert.Equal(["a d", "c", "kernel"], plan.Batches.Select(batch => string.Join(' ', batch.Slices.Select(slice => slice.Name))));
        Assert.Equal(1 - ((4.0 * ((3 * (21 + 67)) + 20 + 63)) + 20) / (plan.CompressedCount + 20.0), plan.SavedOfWeights, 1e-12);
    }

    [Theory]
    [MemberData(nameof(PresetsAndOrdinals))]
    public void Plan_OfEveryPreset_CountsEveryElementOnce_AndNeverSendsMore(string name, int ordinals)
    {
        var preset = Preset.Find(name);
        foreach (var shard in new ShardPlan(TransformerParameters.Declare(preset.Transformer), ordinals).Shards)
        {
            var plan = new CompressionPlan(shard, new(preset.Transformer.Width / 8));

            Assert.Equal(shard.Count, plan.CompressedCount + plan.UncompressedCount);
            Assert.Equal(plan.CompressedCount, plan.Batches.Sum(batch => batch.Size * batch.Rows * batch.Columns));
            Assert.Equal(plan.LeftCount, plan.Batches.Sum(batch => batch.LeftCount));
            Assert.Equal(plan.FactorCount, plan.Batches.Sum(batch => batch.RightCount));
            Assert.InRange(plan.BytesPerUpdate, 0, plan.UncompressedBytesPerUpdate);
            Assert.All(plan.Batches, batch => Assert.True(batch.Rank < batch.Shorter));

            // One batch for each of a layer's four matrices, which lie equally far apart.
            Assert.All(plan.Batches, batch => Assert.True(batch.Size == preset.Transformer.Layers && batch.Stride is not null || ordinals == 3));
        }
    }

    // 40 rows by halves and by thirds, and of "b" a third (14 or 13 rows of 20) that does not pay any more at rank 8.
    [Fact]
    public void CopyRows_BringsEveryRowToWhereItIsCompressedNow()
    {
        using var scope = NewDisposeScope();
        ParameterSpec[] specs = [Weight("a", 40, 64), Weight("b", 40, 20)];
        var (halves, thirds) = (Plans(2), Plans(3));
        var whole = specs.ToDictionary(spec => spec.Name, spec => ones(spec.Shape).flatten().cumsum(0).view(spec.Shape));
        var written = halves.Select(plan => Buffer(plan, (name, rows) => whole[name].narrow(0, rows.First, rows.Count))).ToArray();

        foreach (var third in thirds)
        {
            var error_C = zeros(third.CompressedCount);
            foreach (var (plan, half_C) in halves.Zip(written))
            {
                plan.CopyRows(half_C, third, error_C);
            }

            Assert.Equal(Buffer(third, (name, rows) => whole[name].narrow(0, rows.First, rows.Count)).data<float>().ToArray(), error_C.data<float>().ToArray());
        }

        Assert.Equal([2, 2], halves.Select(plan => plan.Compressed.Count));
        Assert.Contains(thirds, plan => plan.Compressed.Count == 1);

        CompressionPlan[] Plans(int shards) => [.. new ShardPlan(specs, shards).Shards.Select(shard => new CompressionPlan(shard, new(8)))];

        static Tensor Buffer(CompressionPlan plan, Func<string, (long First, long Count), Tensor> rows) =>
            cat([.. plan.Compressed.Select(piece => rows(piece.Slice.Name, (piece.Slice.FirstRow, piece.Slice.Rows)).flatten())]);
    }

    [Fact]
    public void Ranks_OfSingleParameters_MayDiffer()
    {
        var shard = new ShardPlan([Weight("a", 40, 64), Weight("b", 40, 64), Weight("c", 40, 64)], 1).Shards[0];
        var ranks = new CompressionSettings(4, new Dictionary<string, int> { ["b"] = 7, ["c"] = 0 });

        Assert.Equal([4, 7, 0], shard.Slices.Select(ranks.RankOf));
        Assert.Contains("at least 0 for 'a', got -1", Assert.Throws<ArgumentException>(() => new CompressionPlan(shard, new(-1))).Message);
    }
}
