using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Model.Sampling;
using Dalle.Workers.Generation;

namespace Dalle.Workers.Tests.Generation;

public sealed class KeptPictureTests
{
    private const int Size = 32, Grid = 4;

    private static readonly int[] Tokens = [.. Enumerable.Range(100, Grid * Grid)];

    [Fact]
    public void Mask_WithAHole_FreesEveryCellThatTheHoleTouches()
    {
        // From pixel 7 to 16: columns 0, 1, 2 of cells of 8 pixels; in height just inside row 1.
        var mask = Files.Transparent(Size, Size, (x, y) => x is >= 7 and <= 16 && y is >= 8 and <= 15);

        var given = Read(new() { Picture = Picture(Size, Size), Mask = mask }).Given(Tokens, seed: 1, candidate: 0);

        Assert.Equal([4, 5, 6], given.Index().Where(entry => entry.Item == SequenceRequest.Free).Select(entry => entry.Index));
        Assert.All(given.Index().Where(entry => entry.Item != SequenceRequest.Free), entry => Assert.Equal(Tokens[entry.Index], entry.Item));
    }

    [Fact]
    public void Picture_OfAnySize_IsScaledFromItsCentralSquare_AndItsMaskWithIt()
    {
        // Twice as wide as high: the square is pixels 50 to 149; the hole is its left half.
        var mask = Files.Transparent(200, 100, (x, _) => x < 100);

        var kept = Read(new() { Picture = Picture(200, 100), Mask = mask });

        Assert.Equal(3 * Size * Size, kept.Pixels.Length);
        Assert.Equal(
            [0, 1, 4, 5, 8, 9, 12, 13], kept.Given(Tokens, 1, 0).Index().Where(entry => entry.Item == SequenceRequest.Free).Select(entry => entry.Index));
    }

    [Fact]
    public void Picture_TransparentItself_NeedsNoMask()
    {
        var given = Read(new() { Picture = Files.Transparent(Size, Size, (_, y) => y >= 24) }).Given(Tokens, 1, 0);

        Assert.Equal([.. Tokens.Take(12), -1, -1, -1, -1], given);
    }

    [Theory]
    [InlineData(null, 8)]
    [InlineData(0.25, 4)]
    [InlineData(0.001, 1)]
    [InlineData(1.0, 16)]
    public void Variation_FreesItsShare_AsSeedAndCandidateSay(double? share, int free)
    {
        var kept = Read(new() { Picture = Picture(Size, Size), Share = share });

        var given = kept.Given(Tokens, 1, 0);

        Assert.Equal(free, given.Count(token => token == SequenceRequest.Free));
        Assert.Equal(given, kept.Given(Tokens, 1, 0));
        if (free == 8)
        {
            Assert.NotEqual(given, kept.Given(Tokens, 1, 1));
            Assert.NotEqual(given, kept.Given(Tokens, 2, 0));
        }
    }

    [Fact]
    public void Read_WhatCannotBeUsed_IsRefusedByName()
    {
        Refused("Picture", new() { Picture = new byte[] { 1, 2, 3 } });
        Refused("Mask", new() { Picture = Picture(Size, Size), Mask = new byte[] { 1, 2, 3 } });
        Refused("Mask", new() { Picture = Picture(Size, Size), Mask = Files.Transparent(Size, 16, (_, _) => true) });
        Refused("Mask", new() { Picture = Picture(Size, Size), Mask = Picture(Size, Size) });

        static void Refused(string field, PictureToComplete completion) =>
            Assert.Equal(field, Assert.Throws<InvalidRequestException>(() => Read(completion)).Parameter);
    }

    private static KeptPicture Read(PictureToComplete completion) => KeptPicture.Read(completion, Size, Grid);

    private static byte[] Picture(int width, int height)
    {
        var colours = new byte[width * height * 3];
        new Random(1).NextBytes(colours);
        return PngEncoder.Encode(new(width, height, colours));
    }
}
