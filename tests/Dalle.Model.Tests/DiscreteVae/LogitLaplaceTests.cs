using Dalle.Model.DiscreteVae;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.DiscreteVae;

public sealed class LogitLaplaceTests
{
    [Fact]
    public void NegativeLogLikelihood_OfOnePixel_EqualsTheFormula()
    {
        using var scope = NewDisposeScope();
        var maps = tensor(new float[] { 0.3f, -1, 2, -0.5f, 0.1f, 0 }).view(1, 6, 1, 1);
        float[] pixels = [0.2f, 0.9f, 1];

        var loss = LogitLaplace.NegativeLogLikelihood(maps, tensor(pixels).view(1, 3, 1, 1), logScaleFloor: null).item<float>();

        var expected = Enumerable.Range(0, 3).Average(i =>
        {
            var (x, mu, b) = ((0.8 * pixels[i]) + 0.1, maps[0, i, 0, 0].item<float>(), Math.Exp(maps[0, i + 3, 0, 0].item<float>()));
            return -Math.Log(1 / (2 * b * x * (1 - x)) * Math.Exp(-Math.Abs(Math.Log(x / (1 - x)) - mu) / b));
        });
        Assert.Equal(expected, loss, 5);
    }

    [Fact]
    public void NegativeLogLikelihood_OverTheUnitInterval_IsADensity()
    {
        using var scope = NewDisposeScope();
        const int Cells = 20_000;
        var maps = tensor(new float[] { 0.4f, 0.4f, 0.4f, -1, -1, -1 }).view(1, 6, 1, 1);

        // Mapped x of every cell's middle, brought back to the pixels that map to it.
        var density = Enumerable.Range(0, Cells).Sum(i => Math.Exp(-LogitLaplace
            .NegativeLogLikelihood(maps, full([1, 3, 1, 1], Number((((i + 0.5) / Cells) - 0.1) / 0.8)), null).item<float>()) / Cells);

        Assert.Equal(1, density, 3);
    }

    [Fact]
    public void NegativeLogLikelihood_WithAFloor_CountsAsTheFloor()
    {
        using var scope = NewDisposeScope();
        var pixels = full([1, 3, 2, 2], Number(0.5));
        var sharp = cat([full([1, 3, 2, 2], Number(0.2)), full([1, 3, 2, 2], Number(-5.0))], 1);
        var atFloor = cat([full([1, 3, 2, 2], Number(0.2)), full([1, 3, 2, 2], Number(-2.0))], 1);

        Assert.Equal(
            LogitLaplace.NegativeLogLikelihood(atFloor, pixels, null).item<float>(),
            LogitLaplace.NegativeLogLikelihood(sharp, pixels, -2).item<float>());
    }

    [Fact]
    public void Reconstruct_OfALocation_IsThePixelItStandsFor()
    {
        using var scope = NewDisposeScope();
        float[] locations = [-9, MathF.Log(0.3f / 0.7f), 9, 1, 1, 1];

        var pixels = LogitLaplace.Reconstruct(tensor(locations).view(1, 6, 1, 1)).data<float>().ToArray();

        Assert.Equal([0, 0.25f, 1], pixels.Select(pixel => MathF.Round(pixel, 5)));
    }
}
