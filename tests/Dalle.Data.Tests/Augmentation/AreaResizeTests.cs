using Dalle.Data.Augmentation;

namespace Dalle.Data.Tests.Augmentation;

public sealed class AreaResizeTests
{
    /// <summary>Worked out by hand: of three pixels, the first of two covers one and a half.</summary>
    [Theory]
    [InlineData(new byte[] { 0, 90, 30 }, new float[] { 30, 50 })]
    [InlineData(new byte[] { 10, 20, 30, 40 }, new float[] { 15, 35 })]
    [InlineData(new byte[] { 100, 200 }, new float[] { 100, 150, 200 })]
    [InlineData(new byte[] { 100, 200 }, new float[] { 100, 100, 200, 200 })]
    [InlineData(new byte[] { 7, 8, 9 }, new float[] { 7, 8, 9 })]
    [InlineData(new byte[] { 10, 20, 60 }, new float[] { 30 })]
    public void Square_OfOneRamp_IsAsByHandAlongBothAxes(byte[] ramp, float[] expected)
    {
        var (side, size) = (ramp.Length, expected.Length);
        var columns = new byte[side * side * 3];
        var rows = new byte[side * side * 3];
        for (var i = 0; i < columns.Length; i++)
        {
            columns[i] = ramp[i / 3 % side];
            rows[i] = ramp[i / 3 / side];
        }

        var (across, down) = (AreaResize.Square(columns, side, 0, 0, side, size), AreaResize.Square(rows, side, 0, 0, side, size));
        for (var i = 0; i < across.Length; i++)
        {
            Assert.Equal(expected[i / 3 % size], across[i], 1e-4f);
            Assert.Equal(expected[i / 3 / size], down[i], 1e-4f);
        }
    }

    [Fact]
    public void Square_InsideAPicture_ReadsOnlyThatSquare()
    {
        // Four columns, three rows; the square at (1, 1) holds 6, 7, 10, 11 in red, their doubles in green, 255 in blue.
        var rgb = Enumerable.Range(0, 12).SelectMany(i => new[] { (byte)(i + 1), (byte)(2 * (i + 1)), (byte)255 }).ToArray();

        Assert.Equal([8.5f, 17f, 255f], AreaResize.Square(rgb, 4, 1, 1, 2, 1).Select(value => MathF.Round(value, 3)));
    }

    [Theory]
    [InlineData(97, 64)]
    [InlineData(64, 97)]
    [InlineData(1000, 3)]
    public void Square_OfOneColour_KeepsIt(int side, int size)
    {
        var rgb = new byte[side * side * 3];
        Array.Fill(rgb, (byte)200);
        Assert.All(AreaResize.Square(rgb, side, 0, 0, side, size), value => Assert.Equal(200, value, 0.01f));
    }
}
