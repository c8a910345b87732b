using Dalle.Model.Parameters;
using Dalle.Model.Sampling;

namespace Dalle.Model.Tests.Sampling;

public sealed class DecoderTests
{
    public static TheoryData<int, int, int, int, int, int> Shapes => new()
    {
        // layers, grid, text, width, heads, kernel
        { 1, 4, 3, 32, 2, 3 },
        { 2, 5, 17, 32, 1, 3 },
        { 6, 4, 5, 48, 3, 11 },
        { 3, 18, 4, 32, 2, 11 },
        { 4, 3, 16, 128, 4, 5 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void PackedDecoder_FedTokenByToken_GivesTheWholeNetworksLogits(int layers, int grid, int text, int width, int heads, int kernel)
    {
        using var prior = new TestPrior(layers, grid, text, width, heads, kernel);
        using var decoder = PackedDecoder.Create(prior.Config, prior.Parameters, new(Slots: 5), threads: 2);

        AssertLogits(prior, decoder, tolerance: 1e-4);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void TorchDecoder_FedTokenByToken_GivesTheWholeNetworksLogits(int layers, int grid, int text, int width, int heads, int kernel)
    {
        using var prior = new TestPrior(layers, grid, text, width, heads, kernel);
        using var decoder = new TorchDecoder(prior.Config, prior.Parameters, new(Slots: 5));

        AssertLogits(prior, decoder, tolerance: 1e-4);
    }

    [Theory]
    [InlineData(Precision.BFloat16, 0.5)]
    [InlineData(Precision.Float16, 0.1)]
    public void TorchDecoder_InSixteenBit_StaysNearTheWholeNetwork(Precision precision, double tolerance)
    {
        using var prior = new TestPrior(precision: precision);
        using var decoder = new TorchDecoder(prior.Config, prior.Parameters, new(Slots: 5));

        AssertLogits(prior, decoder, tolerance);
    }

    [Theory]
    [InlineData(Precision.BFloat16, 0.5)]
    [InlineData(Precision.Float16, 0.1)]
    public void PackedDecoder_OfSixteenBitWeights_StaysNearTheWholeNetwork(Precision precision, double tolerance)
    {
        using var prior = new TestPrior(precision: precision);
        using var decoder = PackedDecoder.Create(prior.Config, prior.Parameters, new(Slots: 5), threads: 2);

        AssertLogits(prior, decoder, tolerance);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void PackedDecoder_AnyBatchAndThreads_GivesTheSameBits(Precision precision)
    {
        using var prior = new TestPrior(layers: 6, grid: 4, width: 96, heads: 3, precision: precision);
        int[][] captions = [[1, 2, 3], [], [7, 7, 7, 7, 7], [10], [4, 5], [6], [0, 9]];
        var together = Run(threads: 1, captions);

        for (var caption = 0; caption < captions.Length; caption++)
        {
            Assert.Equal(together[caption], Run(threads: 1 + (caption % 3), captions[caption])[0]);
        }

        float[][] Run(int threads, params int[][] of)
        {
            using var decoder = PackedDecoder.Create(prior.Config, prior.Parameters, new(Slots: of.Length), threads);
            var logits = of.Select(_ => new List<float>()).ToArray();
            foreach (var rows in Steps(prior, of, [.. Enumerable.Range(0, of.Length)], (_, position) => position % prior.Config.ImageVocabulary))
            {
                decoder.Step(rows);
                foreach (var (index, row) in rows.Index().Where(row => row.Item.Predicts))
                {
                    logits[row.Prompt].AddRange(decoder.Logits(index));
                }
            }

            return [.. logits.Select(list => list.ToArray())];
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void PackedDecoder_CaptionReadInPiecesBesideImages_GivesTheSameBits(Precision precision)
    {
        using var prior = new TestPrior(layers: 6, grid: 4, text: 21, width: 96, heads: 3, precision: precision);
        using var decoder = PackedDecoder.Create(prior.Config, prior.Parameters, new(Slots: 2), threads: 2);
        int[] caption = [3, 1, 4, 1, 5];
        var whole = Text(prior, caption, prompt: 0);
        decoder.Step(whole);
        var expected = decoder.Logits(whole.Length - 1).ToArray();

        var again = Text(prior, caption, prompt: 1);
        for (var position = 0; position < 3; position++)
        {
            decoder.Step([.. again[(position * 7)..((position + 1) * 7)], new(0, 1, position, position, Predicts: true)]);
        }

        Assert.Equal(expected, decoder.Logits(6).ToArray());
    }

    [Fact]
    public void PackedDecoder_WidthsThatDoNotFillVectors_AreNotSupported()
    {
        using var prior = new TestPrior(width: 24, heads: 2);

        Assert.False(PackedDecoder.Supports(prior.Config));
        using var decoder = new TorchDecoder(prior.Config, prior.Parameters, new(Slots: 5));
        AssertLogits(prior, decoder, tolerance: 1e-4);
    }

    private static void AssertLogits(TestPrior prior, IDecoder decoder, double tolerance)
    {
        var random = new Random(5);
        var full = Enumerable.Range(0, prior.Config.TextLength).Select(_ => random.Next(prior.Config.TextVocabulary)).ToArray();
        int[][] captions = [full, [], [4, 1, 2]];
        int[] captionOfSequence = [0, 2, 0, 1, 2];
        var images = captionOfSequence.Select(_ => Enumerable.Range(0, prior.Config.ImageLength).Select(_ => random.Next(prior.Config.ImageVocabulary)).ToArray()).ToArray();
        var expected = captionOfSequence.Select((caption, sequence) => prior.Logits(captions[caption], images[sequence])).ToArray();

        foreach (var rows in Steps(prior, captions, captionOfSequence, (sequence, position) => images[sequence][position]))
        {
            decoder.Step(rows);
            foreach (var (index, row) in rows.Index().Where(row => row.Item.Predicts))
            {
                var (sequence, position) = row.Slot < 0 ? (Array.IndexOf(captionOfSequence, row.Prompt), 0) : (row.Slot, row.Position + 1);
                var difference = decoder.Logits(index).ToArray().Zip(expected[sequence][position], (a, b) => Math.Abs(a - b)).Max();
                Assert.True(difference <= tolerance, $"Sequence {sequence}, position {position}: logits differ by {difference}.");
            }
        }

        // A logit that hardly varies would make the comparison empty.
        Assert.True(expected[0][0].Max() - expected[0][0].Min() > 2);
    }

    /// <summary>All steps of some images after their captions: the captions one after the other, then a token of each image at a time.</summary>
    private static IEnumerable<DecodeRow[]> Steps(TestPrior prior, int[][] captions, int[] captionOfSequence, Func<int, int, int> token)
    {
        for (var caption = 0; caption < captions.Length; caption++)
        {
            yield return Text(prior, captions[caption], caption);
        }

        for (var position = 0; position < prior.Config.ImageLength - 1; position++)
        {
            yield return [.. captionOfSequence.Select((caption, sequence) => new DecodeRow(caption, sequence, position, token(sequence, position), Predicts: true))];
        }
    }

    private static DecodeRow[] Text(TestPrior prior, int[] caption, int prompt) =>
    [
        .. Enumerable.Range(0, prior.Config.TextLength)
            .Select(position => new DecodeRow(prompt, -1, position, position < caption.Length ? caption[position] : -1, Predicts: position == prior.Config.TextLength - 1)),
    ];
}
