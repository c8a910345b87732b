using Dalle.Cli.Rendering;

namespace Dalle.Cli.Tests.Rendering;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(5, "0:05")]
    [InlineData(72, "1:12")]
    [InlineData(7500, "2:05:00")]
    public void Duration_Seconds_ReadsAsAClock(int seconds, string expected) => Assert.Equal(expected, Figures.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(0, "0.0000")]
    [InlineData(1.23456, "1.2346")]
    [InlineData(-0.5, "-0.5000")]
    [InlineData(12.3456, "12.35")]
    [InlineData(4321.9, "4322")]
    [InlineData(0.0000123, "1.23e-5")]
    public void Loss_AnyMagnitude_KeepsAboutFourDigits(double value, string expected) => Assert.Equal(expected, Figures.Loss(value));

    [Theory]
    [InlineData(26.44, "26.4")]
    [InlineData(18140.2, "18,140")]
    public void Rate_SmallAndLarge_KeepsWhatMatters(double value, string expected) => Assert.Equal(expected, Figures.Rate(value));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1_000, "1.0 kB")]
    [InlineData(20_361_216, "20.4 MB")]
    [InlineData(3_210_000_000, "3.2 GB")]
    public void Bytes_AreInDecimalUnits(long value, string text) => Assert.Equal(text, Figures.Bytes(value));
}
