using Dalle.Model.Kernels;
using Dalle.Model.Native;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

public sealed class AttentionTests
{
    public static TheoryData<AttentionKind, int, int, int> Shapes()
    {
        var shapes = new TheoryData<AttentionKind, int, int, int>();
        foreach (var kind in Enum.GetValues<AttentionKind>())
        {
            foreach (var (grid, text, headWidth) in new[] { (4, 5, 16), (5, 16, 32), (8, 24, 48), (16, 64, 32) })
            {
                shapes.Add(kind, grid, text, headWidth);
            }
        }

        return shapes;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void TiledAttention_EqualsDenseAttention(AttentionKind kind, int grid, int text, int headWidth)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var config = new TransformerConfig { GridSize = grid, TextLength = text, Heads = 2, Width = 2 * headWidth };
        using var generator = new Generator(5, CPU);
        var qkv = randn(3 * config.SequenceLength, 3 * config.Width, generator: generator);
        var gradient = randn(3 * config.SequenceLength, config.Width, generator: generator);
        using var tiled = new TiledAttention(config, kind);
        using var dense = new DenseAttention(config, kind, CPU);
        using Tape actual = new(), expected = new();
        AssertClose(dense.Forward(qkv, expected), tiled.Forward(qkv, actual), 2e-5);
        AssertClose(dense.Backward(gradient, qkv, expected), tiled.Backward(gradient, qkv, actual), 5e-5);
    }

    [Theory]
    [InlineData(5, 16)]
    [InlineData(16, 32)]
    [InlineData(20, 48)]
    [InlineData(64, 16)]
    public void TiledAttention_OfAllToAll_EqualsDenseAttention(int length, int headWidth)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        using var generator = new Generator(5, CPU);
        var qkv = randn(3 * length, 6 * headWidth, generator: generator);
        var gradient = randn(3 * length, 2 * headWidth, generator: generator);
        using var tiled = new TiledAttention(AttentionTiles.AllToAll(length), heads: 2, headWidth, length);
        using var dense = new DenseAttention(length, heads: 2, headWidth, blocked_SS: null);
        using Tape actual = new(), expected = new();
        AssertClose(dense.Forward(qkv, expected), tiled.Forward(qkv, actual), 2e-5);
        AssertClose(dense.Backward(gradient, qkv, expected), tiled.Backward(gradient, qkv, actual), 5e-5);
    }

    [Fact]
    public void TiledAttention_InBFloat16_EqualsFloat32WithinItsRounding()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var config = new TransformerConfig { GridSize = 4, TextLength = 5, Heads = 2, Width = 32 };
        using var generator = new Generator(5, CPU);
        var qkv = randn(3 * config.SequenceLength, 3 * config.Width, generator: generator).bfloat16();
        using var attention = new TiledAttention(config, AttentionKind.Row);
        AssertClose(attention.Forward(qkv.to(ScalarType.Float32), null), attention.Forward(qkv, null).to(ScalarType.Float32), 1e-2);
    }

    [Fact]
    public void TiledAttention_OnAnyNumberOfThreads_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var config = new TransformerConfig { GridSize = 4, TextLength = 5, Heads = 2, Width = 32 };
        using var generator = new Generator(5, CPU);
        var qkv = randn(3 * config.SequenceLength, 3 * config.Width, generator: generator);
        using var attention = new TiledAttention(config, AttentionKind.Convolution);
        var before = get_num_threads();
        TorchRuntime.UseThreads(1);
        var one = attention.Forward(qkv, null).bytes.ToArray();
        TorchRuntime.UseThreads(2);
        var two = attention.Forward(qkv, null).bytes.ToArray();
        TorchRuntime.UseThreads(before);
        Assert.Equal(one, two);
    }

    // The order in which column attention's tiles are computed puts a column's tokens side by side.
    [Fact]
    public void Tiles_OfThePapersMasks_ComputeLittleMoreThanTheMask()
    {
        var config = new TransformerConfig();
        foreach (var kind in Enum.GetValues<AttentionKind>())
        {
            var computed = new AttentionTiles(config, kind).Rows.Sum(row => row.Length) * AttentionTiles.Side * AttentionTiles.Side;
            using var mask = AttentionMask.Create(config, kind);
            var attended = mask.sum(ScalarType.Int64).item<long>();
            Assert.InRange(computed, attended, 1.4 * attended);
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        var difference = (expected - actual).abs().max().item<float>();
        Assert.True(difference < tolerance, $"Off by {difference}.");
    }
}
