using Dalle.Model.Randomness;

namespace Dalle.Model.Tests.Randomness;

public sealed class GumbelNoiseTests
{
    [Fact]
    public void Fill_ManyNumbers_HaveTheDistribution()
    {
        var noise = Draw(1 << 20);

        var mean = noise.Average(x => (double)x);
        Assert.Equal(0.57722, mean, 0.01);
        Assert.Equal(Math.PI * Math.PI / 6, noise.Average(x => (x - mean) * (x - mean)), 0.02);
        Assert.All(new[] { -1.5, 0, 1, 3, 6 }, x => Assert.Equal(Math.Exp(-Math.Exp(-x)), noise.Count(value => value <= x) / (double)noise.Length, 0.003));
    }

    [Fact]
    public void Fill_FewerNumbers_AreThoseOfMore() => Assert.Equal(Draw(4096)[..64], Draw(64));

    [Fact]
    public void Fill_AnyOtherArgument_GivesOtherNumbers()
    {
        float[][] draws = [Draw(64), Draw(64, seed: 2), Draw(64, purpose: Purpose.TokenSampling), Draw(64, stream: 1), Draw(64, position: 1)];

        Assert.Equal(5 * 64, draws.SelectMany(draw => draw).Distinct().Count());
    }

    private static float[] Draw(int count, ulong seed = 1, Purpose purpose = Purpose.GumbelNoise, int stream = 0, int position = 0)
    {
        var noise = new float[count];
        GumbelNoise.Fill(noise, seed, purpose, stream, position);
        return noise;
    }
}
