using System.Numerics;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;

namespace Dalle.Model.Tests.Sampling;

public sealed class AttentionPlanTests
{
    [Theory]
    [InlineData(AttentionKind.Row, 4)]
    [InlineData(AttentionKind.Row, 17)]
    [InlineData(AttentionKind.Column, 4)]
    [InlineData(AttentionKind.Column, 17)]
    [InlineData(AttentionKind.Convolution, 4)]
    [InlineData(AttentionKind.Convolution, 17)]
    public void Image_EveryPosition_FindsExactlyTheKeysOfTheMaskStillInTheirSlots(AttentionKind kind, int grid)
    {
        var config = new TransformerConfig { Layers = 6, Width = 32, Heads = 2, TextLength = 3, GridSize = grid };
        var plan = new AttentionPlan(config);
        var owner = new Dictionary<int, int>();
        for (var position = 0; position < config.ImageLength; position++)
        {
            owner[plan.ImageSlot(kind, position)] = position;

            var found = Slots(plan.Image(kind, position)).Select(slot => owner[slot]).Order();

            Assert.Equal(Enumerable.Range(0, position + 1).Where(key => AttentionMask.Allows(config, kind, 3 + position, 3 + key)), found);
        }

        Assert.All(owner.Keys, slot => Assert.InRange(slot, 0, (plan.ImageBlocks(kind) * AttentionPlan.BlockSize) - 1));
    }

    [Fact]
    public void ImageBlocks_OfThePapersGrid_HoldAFewRowsWhereTheMaskAllows()
    {
        var plan = new AttentionPlan(new() { Layers = 4, TextLength = 16 });

        Assert.Equal(3, plan.ImageBlocks(AttentionKind.Row));            // 33 tokens of 1024
        Assert.Equal(11, plan.ImageBlocks(AttentionKind.Convolution));   // 166
        Assert.Equal(64, plan.ImageBlocks(AttentionKind.Column));
        Assert.Equal(1, plan.TextBlocks);
    }

    [Fact]
    public void Image_ColumnOfThePapersGrid_ReadsOneColumnsBlocks()
    {
        var plan = new AttentionPlan(new() { Layers = 4, TextLength = 16 });

        Assert.Equal(2, plan.Image(AttentionKind.Column, 1023).Length);
    }

    [Fact]
    public void Text_IsCausal()
    {
        var plan = new AttentionPlan(new() { Layers = 1, TextLength = 20, GridSize = 2 });

        Assert.All(Enumerable.Range(0, 20), position => Assert.Equal(Enumerable.Range(0, position + 1), Slots(plan.Text(position))));
    }

    private static List<int> Slots(ReadOnlySpan<SlotBlock> blocks)
    {
        var slots = new List<int>();
        foreach (var block in blocks)
        {
            for (uint bits = block.Slots; bits != 0; bits &= bits - 1)
            {
                slots.Add((block.Block * AttentionPlan.BlockSize) + BitOperations.TrailingZeroCount(bits));
            }
        }

        return slots;
    }
}
