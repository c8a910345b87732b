using Dalle.Model.Randomness;
using Dalle.Model.Sampling;

namespace Dalle.Model.Tests.Sampling;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [1.5f, -0.5f, 3, 0, 2.2f, -4, 0.7f];

    [Fact]
    public void Sample_ManyPositions_FollowsTheSoftmax() => AssertFrequencies(Softmax(Logits, 1), new());

    [Fact]
    public void Sample_AtATemperature_FollowsThatSoftmax() => AssertFrequencies(Softmax(Logits, 2.5), new(Temperature: 2.5));

    [Fact]
    public void Sample_OfTopK_FollowsTheirSoftmax() => AssertFrequencies(Softmax(Only(2, 4, 0), 1), new(TopK: 3));

    [Fact]
    public void Sample_OfTopP_FollowsTheSoftmaxOfTheFewestThatReachIt()
    {
        var softmax = Softmax(Logits, 1);
        var twoLikeliest = softmax[2] + softmax[4];

        AssertFrequencies(Softmax(Only(2, 4), 1), new(TopP: twoLikeliest - 1e-4));
        AssertFrequencies(Softmax(Only(2, 4, 0), 1), new(TopP: twoLikeliest + 1e-4));
    }

    [Fact]
    public void Sample_OfTopKAndTopP_TakesTheShareOfWhatTopKLeft()
    {
        var ofThree = Softmax(Only(2, 4, 0), 1);

        AssertFrequencies(Softmax(Only(2, 4), 1), new(TopK: 3, TopP: ofThree[2] + ofThree[4] - 1e-4));
    }

    [Fact]
    public void Sample_RareTokens_AreDrawnAsOftenAsTheyShould()
    {
        // 8191 tokens at e^-12 each: together 4.8 %, each alone 5.9e-6.
        var logits = new float[8192];
        Array.Fill(logits, -12f);
        logits[8191] = 0;
        var sampler = new TokenSampler(logits.Length);
        const int Draws = 20_000;

        var rare = Enumerable.Range(0, Draws).Count(position => sampler.Sample(logits, new(), 5, 0, position) != 8191);

        var expected = 8191 * Math.Exp(-12) / (1 + (8191 * Math.Exp(-12)));
        Assert.InRange(rare, (expected * Draws) - (5 * Math.Sqrt(expected * Draws)), (expected * Draws) + (5 * Math.Sqrt(expected * Draws)));
    }

    [Theory]
    [InlineData(1, null)]
    [InlineData(null, 1e-9)]
    public void Sample_OfTheLikeliestOnly_IsTheArgmax(int? topK, double? topP)
    {
        var sampler = new TokenSampler(Logits.Length);

        Assert.All(Enumerable.Range(0, 100), position => Assert.Equal(2, sampler.Sample(Logits, new(TopK: topK, TopP: topP), 1, 0, position)));
    }

    [Theory]
    [InlineData(7, null)]
    [InlineData(1000, null)]
    [InlineData(null, 1.0)]
    public void Sample_FiltersThatLeaveAll_ChangeNothing(int? topK, double? topP)
    {
        var sampler = new TokenSampler(Logits.Length);

        Assert.All(Enumerable.Range(0, 200), position => Assert.Equal(
            sampler.Sample(Logits, new(), 1, 0, position), sampler.Sample(Logits, new(TopK: topK, TopP: topP), 1, 0, position)));
    }

    [Fact]
    public void Sample_TopKAmongEquals_TakesTheLowest()
    {
        var sampler = new TokenSampler(5);

        var drawn = Enumerable.Range(0, 300).Select(position => sampler.Sample([1, 1, 1, 1, 1], new(TopK: 2), 3, 0, position)).Distinct().Order();

        Assert.Equal([0, 1], drawn);
    }

    [Fact]
    public void Sample_ImpossibleTokens_AreNeverDrawn()
    {
        var sampler = new TokenSampler(4);
        const float No = float.NegativeInfinity;

        Assert.All(Enumerable.Range(0, 300), position =>
        {
            Assert.Equal(2, sampler.Sample([No, No, -50, No], new(), 3, 0, position));
            Assert.Equal(2, sampler.Sample([No, No, -50, No], new(TopK: 4, TopP: 0.99), 3, 0, position));
        });
    }

    [Fact]
    public void Sample_SeedCandidateAndPosition_EachMatter()
    {
        var sampler = new TokenSampler(1024);
        var flat = new float[1024];

        var tokens = new[] { (1UL, 0, 0), (2UL, 0, 0), (1UL << 32, 0, 0), (1UL, 1, 0), (1UL, 0, 1) }
            .Select(at => sampler.Sample(flat, new(), at.Item1, at.Item2, at.Item3)).ToList();

        Assert.Equal(tokens.Count, tokens.Distinct().Count());
        Assert.Equal(tokens[0], sampler.Sample(flat, new(), 1, 0, 0));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Sample_LogitsThatAreNoNumbers_AreRefused(float bad)
    {
        var logits = new float[33];
        logits[20] = bad;

        var error = Assert.Throws<ArgumentException>(() => new TokenSampler(33).Sample(logits, new(), 0, 0, 4));

        Assert.Contains("position 4", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sample_NothingPossible_IsRefused() =>
        Assert.Throws<ArgumentException>(() => new TokenSampler(2).Sample([float.NegativeInfinity, float.NegativeInfinity], new(), 0, 0, 0));

    [Theory]
    [InlineData(0.0, null, null, 1.0, "Temperature")]
    [InlineData(double.NaN, null, null, 1.0, "Temperature")]
    [InlineData(1.0, 0, null, 1.0, "TopK")]
    [InlineData(1.0, null, 0.0, 1.0, "TopP")]
    [InlineData(1.0, null, 1.1, 1.0, "TopP")]
    [InlineData(1.0, null, double.NaN, 1.0, "TopP")]
    [InlineData(1.0, null, null, -1.0, "Guidance")]
    public void Validate_ANumberOutOfRange_IsNamed(double temperature, int? topK, double? topP, double guidance, string name) =>
        Assert.Equal(name, Assert.Throws<ArgumentOutOfRangeException>(() => new SamplingSettings(temperature, topK, topP, guidance).Validate()).ParamName);

    [Fact]
    public void Noise_OverManyTokens_IsGumbel()
    {
        var noise = new float[1 << 16];
        double sum = 0, squares = 0;
        for (var position = 0; position < 16; position++)
        {
            GumbelNoise.Fill(noise, 11, Purpose.TokenSampling, 0, position);
            sum += noise.Sum(x => (double)x);
            squares += noise.Sum(x => (double)x * x);
        }

        var count = 16.0 * noise.Length;
        var mean = sum / count;
        Assert.Equal(0.5772, mean, 0.01);
        Assert.Equal(Math.PI * Math.PI / 6, (squares / count) - (mean * mean), 0.02);
    }

    private static float[] Only(params int[] tokens) =>
        [.. Logits.Select((logit, token) => tokens.Contains(token) ? logit : float.NegativeInfinity)];

    private static double[] Softmax(float[] logits, double temperature)
    {
        var weights = logits.Select(logit => Math.Exp(logit / temperature)).ToArray();
        return [.. weights.Select(weight => weight / weights.Sum())];
    }

    /// <summary>Pearson's chi-squared; with at most 6 degrees of freedom 33 is passed by chance once in 100,000 times. Fixed seed, so it either holds or not.</summary>
    private static void AssertFrequencies(double[] expected, SamplingSettings settings)
    {
        const int Draws = 40_000;
        var sampler = new TokenSampler(Logits.Length);
        var counts = new int[Logits.Length];
        for (var draw = 0; draw < Draws; draw++)
        {
            counts[sampler.Sample(Logits, settings, seed: 7, candidate: draw % 8, position: draw / 8)]++;
        }

        var distance = 0.0;
        for (var token = 0; token < counts.Length; token++)
        {
            if (expected[token] == 0)
            {
                Assert.Equal(0, counts[token]);
                continue;
            }

            distance += Math.Pow(counts[token] - (expected[token] * Draws), 2) / (expected[token] * Draws);
        }

        Assert.InRange(distance, 0, 33);
    }
}
