using Dalle.Collectives.Groups;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Groups;

public sealed class BFloat16Tests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("0", 11)]
    [InlineData("01", 7)]
    [InlineData("012", 4099)]
    [InlineData("01012", 400_001)]
    public async Task AllReduce_AddsIn32BitAndRoundsOnce(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: 1);
        var arrays = Enumerable.Range(0, ranks.Size).Select(rank => Numbers.HalvesOf(rank, length)).ToArray();
        var expected = new float[length];
        for (var i = 0; i < length; i++)
        {
            expected[i] = arrays.Skip(1).Aggregate(Numbers.Widen(arrays[0][i]), (sum, array) => sum + Numbers.Widen(array[i]));
        }

        using var rounded = tensor(expected).to(ScalarType.BFloat16).to(ScalarType.Float32);
        var sum = rounded.data<float>().ToArray();
        await ranks.Run(async group =>
        {
            var target = new ushort[length];
            await group.AllReduce(new CollectiveKey(1, 1), group.OwnOf(arrays), Elements.OfBFloat16(target), Token);
            Numbers.AssertSameBits(sum, target.Select(Numbers.Widen).ToArray());
        });
    }

    [Fact]
    public async Task Tensors_AreSummedInPlace()
    {
        await using var ranks = Ranks.Of("01");
        using var first = full([300, 301], HeldScalar(1.5), ScalarType.BFloat16);
        using var second = full([300, 301], HeldScalar(0.25), ScalarType.BFloat16);
        await ranks.Run(group => group.AllReduce(new CollectiveKey(1, 1), Elements.Of(group.Own is [0] ? first : second), Token));
        using var expected = full([300, 301], HeldScalar(1.75), ScalarType.BFloat16);
        Assert.True(first.Equals(expected));
        Assert.True(second.Equals(expected));
    }

    [Fact]
    public void Tensors_ThatCannotBeExchangedInPlace_AreRefused()
    {
        using var whole = zeros(4, 6);
        using var strided = whole.t();
        using var integers = zeros(3, ScalarType.Int32);
        Assert.Contains("[6, 4]", Assert.Throws<ArgumentException>(() => Elements.Of(strided)).Message, StringComparison.Ordinal);
        Assert.Contains("Int32", Assert.Throws<ArgumentException>(() => Elements.Of(integers)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN, 1f)]
    [InlineData(float.PositiveInfinity, 1f)]
    [InlineData(float.PositiveInfinity, float.NegativeInfinity)]
    [InlineData(-0f, -0f)]
    [InlineData(3.38953139e38f, 3.38953139e38f)]
    public void Sums_OfUnusualNumbers_AreWhatTheyAreIn32Bit(float left, float right)
    {
        // Long enough for vectors and a rest.
        static byte[] Bytes(float value) => [.. Enumerable.Repeat((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16), 67).SelectMany(BitConverter.GetBytes)];
        var sum = new byte[2 * 67];
        OrderedSum.Compute(ElementFormat.BFloat16, [Bytes(left), Bytes(right)], sum);
        Assert.All(Enumerable.Range(0, 67), i => Assert.Equal(left + right, Numbers.Widen(BitConverter.ToUInt16(sum, 2 * i))));
    }

    private static Scalar HeldScalar(double value) => Dalle.Model.Native.HeldScalars.Number(value);
}
