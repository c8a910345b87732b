using Dalle.Model.Parameters;
using Dalle.Model.Reranking;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Reranking;

public sealed class RerankerTests : IDisposable
{
    /// <summary>Text of five positions: no whole number of vectors, nor of tiles.</summary>
    internal static readonly RerankerConfig Config = new()
    {
        ImageSize = 16, PatchSize = 4, Image = new(2, 32, 2), TextLength = 5, TextVocabulary = 11, Text = new(1, 16, 1), EmbeddingWidth = 8, EmbeddingDeviation = 0.3,
    };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly ParameterStore _parameters = NewParameters(Config);
    private readonly Reranker _reranker;

    public RerankerTests() => _reranker = new(Config, _parameters);

    public void Dispose()
    {
        _reranker.Dispose();
        _parameters.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Embeddings_AreThoseOfThePlainNetwork_AndOfUnitLength()
    {
        using var untracked = no_grad();
        var (image, text) = (_reranker.EmbedPictures(Pixels(3)), _reranker.EmbedText(Text(3)));

        AssertNear(ReferenceReranker.Image(Config, _parameters, Pixels(3)), image);
        AssertNear(ReferenceReranker.Text(Config, _parameters, Text(3)), text);
        AssertNear(ones(3), image.norm(1));
        AssertNear(ones(3), text.norm(1));
    }

    // Heads of 8: no tiles for them.
    [Fact]
    public void Embeddings_WithHeadsThatTilesDoNotSuit_AreThoseOfThePlainNetworkToo()
    {
        using var untracked = no_grad();
        var config = Config with { Image = new(2, 24, 3), Text = new(2, 16, 2) };
        using var parameters = NewParameters(config);
        using var reranker = new Reranker(config, parameters);

        AssertNear(ReferenceReranker.Image(config, parameters, Pixels(2)), reranker.EmbedPictures(Pixels(2)));
        AssertNear(ReferenceReranker.Text(config, parameters, Text(2)), reranker.EmbedText(Text(2)));
    }

    [Fact]
    public void Score_IsTheCosineOfEachPictureAndTheText()
    {
        var expected = _reranker.EmbedPictures(Pixels(4)).mv(_reranker.EmbedText(tensor(new long[] { 3, 1, -1, -1, -1 }, [1, 5])).flatten()).data<float>().ToArray();

        var scores = _reranker.Score(Pixels(4), [3, 1]);

        Assert.Equal(4, scores.Count);
        Assert.All(scores.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 5));
        Assert.All(scores, score => Assert.InRange(score, -1.00001f, 1.00001f));
    }

    [Fact]
    public void Score_OfAPicture_IsTheSameToTheBit_WhateverElseIsInTheBatch()
    {
        var pixels = Pixels(7);
        var together = _reranker.Score(pixels, [3, 1, 4]);

        Assert.Equal(together.Reverse(), _reranker.Score(pixels.flip(0), [3, 1, 4]));
        Assert.Equal(together, Enumerable.Range(0, 7).Select(i => _reranker.Score(pixels.narrow(0, i, 1), [3, 1, 4])[0]));
    }

    // A learned embedding stands in where there is no token, so it matters to short texts alone.
    [Fact]
    public void Padding_IsLearned_AndCountsWhereThereIsNoToken()
    {
        var (shorter, full) = (_reranker.Score(Pixels(1), [3, 1]), _reranker.Score(Pixels(1), [3, 1, 4, 1, 5]));
        using (no_grad())
        {
            _parameters.View(_parameters.Master, "text.pad").neg_();
        }

        Assert.NotEqual(shorter, _reranker.Score(Pixels(1), [3, 1]));
        Assert.Equal(full, _reranker.Score(Pixels(1), [3, 1, 4, 1, 5]));
    }

    [Fact]
    public void Score_OfAnEmptyText_IsANumber() => Assert.True(float.IsFinite(Assert.Single(_reranker.Score(Pixels(1), []))));

    [Fact]
    public void Score_OfWhatTheNetworkDoesNotTake_IsRefused()
    {
        Assert.Contains("[B, 3, 16, 16]", Assert.Throws<ArgumentException>(() => _reranker.Score(zeros(1, 3, 8, 8), [1])).Message, StringComparison.Ordinal);
        Assert.Contains("at most 5", Assert.Throws<ArgumentException>(() => _reranker.Score(Pixels(1), [1, 2, 3, 4, 5, 6])).Message, StringComparison.Ordinal);
        Assert.Contains("from 0 to 10", Assert.Throws<ArgumentException>(() => _reranker.Score(Pixels(1), [11])).Message, StringComparison.Ordinal);
        Assert.Contains("[B, 5]", Assert.Throws<ArgumentException>(() => _reranker.EmbedText(zeros(1, 4, ScalarType.Int64))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Temperature_StartsAtThatOfClip() => Assert.Equal(0.07, _reranker.Temperature, 6);

    [Fact]
    public void Validate_NamesTheNumber()
    {
        Assert.Contains("patches of 5", Message(Config with { PatchSize = 5 }), StringComparison.Ordinal);
        Assert.Contains("Image encoder that 3 heads", Message(Config with { Image = new(2, 32, 3) }), StringComparison.Ordinal);
        Assert.Contains("at least 1", Message(Config with { Text = new(0, 16, 1) }), StringComparison.Ordinal);
        Assert.Contains("above 0", Message(Config with { EmbeddingDeviation = 0 }), StringComparison.Ordinal);

        static string Message(RerankerConfig config) => Assert.Throws<ArgumentException>(config.Validate).Message;
    }

    /// <summary>Pictures of noise, float32 <c>[count, 3, 16, 16]</c>.</summary>
    internal static Tensor Pixels(int count, ulong seed = 7)
    {
        using var generator = new Generator(seed, CPU);
        return rand(count, 3, Config.ImageSize, Config.ImageSize, generator: generator);
    }

    /// <summary>Texts of one to five tokens, int64 <c>[count, 5]</c>.</summary>
    internal static Tensor Text(int count) => tensor(
        [.. Enumerable.Range(0, count * Config.TextLength).Select(i => i % Config.TextLength <= i / Config.TextLength % Config.TextLength ? (i * 7L) % Config.TextVocabulary : -1)],
        [count, Config.TextLength]);

    private static ParameterStore NewParameters(RerankerConfig config)
    {
        var parameters = new ParameterStore(RerankerParameters.Declare(config), Precision.Float32, CPU, trains: false);
        parameters.Initialize(5);
        return parameters;
    }

    private static void AssertNear(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        var difference = (expected - actual).abs().max().item<float>();
        Assert.True(difference < 2e-6, $"Off by {difference}.");
    }
}
