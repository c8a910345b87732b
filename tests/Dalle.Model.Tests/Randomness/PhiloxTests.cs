using System.Runtime.Intrinsics.X86;
using Dalle.Model.Randomness;

namespace Dalle.Model.Tests.Randomness;

public sealed class PhiloxTests
{
    [Fact]
    public void Block_OfTheAuthorsKnownAnswers_Agrees()
    {
        // Random123, tests/kat_vectors, "philox4x32 10".
        Assert.Equal((0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), Philox.Block(0, (0, 0, 0, 0)));
        Assert.Equal(
            (0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu),
            Philox.Block(ulong.MaxValue, (uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue)));
        Assert.Equal(
            (0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
            Philox.Block(0x299f31d0a4093822, (0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344)));
    }

    [Theory]
    [InlineData(0UL, 0u, 0u, 0u, 0u)]
    [InlineData(0x299f31d0a4093822UL, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u)]
    [InlineData(ulong.MaxValue, uint.MaxValue - 3, uint.MaxValue, uint.MaxValue, uint.MaxValue)]
    public void EightBlocks_EqualsEachBlock(ulong key, uint first, uint y, uint z, uint w)
    {
        var (xy, zw) = Philox.EightBlocks(key, first, y, z, w);

        for (var lane = 0; lane < 8; lane++)
        {
            Assert.Equal(Philox.Block(key, (first + (uint)lane, y, z, w)), (xy[lane], xy[lane + 8], zw[lane], zw[lane + 8]));
        }
    }

    [Theory]
    [InlineData(0UL, 0u, 0u, 0u, 0u)]
    [InlineData(0x299f31d0a4093822UL, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u)]
    [InlineData(ulong.MaxValue, uint.MaxValue - 3, uint.MaxValue, uint.MaxValue, uint.MaxValue)]
    public void EightBlocksOfAvx2_EqualsEachBlock(ulong key, uint first, uint y, uint z, uint w)
    {
        Assert.SkipUnless(Avx2.IsSupported, "The processor has no AVX2.");
        var (x8, y8, z8, w8) = Philox.EightBlocksOfAvx2(key, first, y, z, w);

        for (var lane = 0; lane < 8; lane++)
        {
            Assert.Equal(Philox.Block(key, (first + (uint)lane, y, z, w)), (x8[lane], y8[lane], z8[lane], w8[lane]));
        }
    }
}
