using Dalle.Data.Augmentation;
using Dalle.Data.Batches;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Data.Randomness;
using Dalle.Data.Tokenization;
using Dalle.Model.Randomness;
using Dalle.Model.Reranking;

namespace Dalle.Workers.Training;

/// <summary>Pairs of picture and caption, flat.</summary>
/// <param name="Pixels">Pictures <c>[B, 3, size, size]</c> in [0, 1].</param>
/// <param name="Text">Text tokens <c>[B, T]</c>; -1 where there is none.</param>
internal sealed record PairBatch(float[] Pixels, long[] Text);

/// <summary>Batches of augmented pictures with a random caption of each. The augmentation is the prior's: captions speak of places and sides.</summary>
internal sealed class PairBatches(IDataset dataset, TextTokenizer tokenizer, RerankerConfig config, int batchSize, ulong seed) : IDisposable
{
    // Streams of numbers of its own, apart from those of the stages before.
    private const string Stage = "reranker";

    private int PictureLength => 3 * config.ImageSize * config.ImageSize;

    /// <summary>Whether the dataset holds any sample out.</summary>
    public bool HasHeldOut => dataset.TrainingCount < dataset.Count;

    /// <summary>A worker's rows of an update's pairs: a pure function of (seed, step). Thread-safe.</summary>
    public PairBatch Read(int step, BatchRows rows)
    {
        var samples = new int[batchSize];
        SampleOrder.Fill(CounterRandom.Key(seed, 2, 0, Purpose.SampleOrder), step, dataset.TrainingCount, samples);
        var pictureKey = CounterRandom.Key(seed, step, 0, Purpose.Augmentation, Stage);
        var captionKey = CounterRandom.Key(seed, step, 0, Purpose.Caption, Stage);
        var batch = New(rows.Count);
        for (var i = 0; i < rows.Count; i++)
        {
            var row = rows.First + i;
            var (picture, captions) = Read(samples[row]);
            PictureAugmentation.ForPrior(picture, config.ImageSize, KeyedRandom.Key(pictureKey, (ulong)row), PixelsOf(batch, i));
            Write(batch, i, captions[new KeyedRandom(KeyedRandom.Key(captionKey, (ulong)row)).NextInt(captions.Count)]);
        }

        return batch;
    }

    /// <summary>Pairs of <see cref="EvaluationSamples"/>: centred pictures with their first captions.</summary>
    /// <param name="most">At most this many.</param>
    public PairBatch ReadHeldOut(int most)
    {
        var samples = EvaluationSamples.Of(dataset, most);
        var batch = New(samples.Length);
        for (var i = 0; i < samples.Length; i++)
        {
            var (picture, captions) = Read(samples[i]);
            PictureAugmentation.Centre(picture, config.ImageSize, PixelsOf(batch, i));
            Write(batch, i, captions[0]);
        }

        return batch;
    }

    public void Dispose()
    {
    }

    // A damaged sample is replaced as a whole, whichever of the two is found to be so: the captions are those that belong to the picture then.
    private (Picture Picture, IReadOnlyList<string> Captions) Read(int sample)
    {
        _ = dataset.GetCaptions(sample);
        return (dataset.ReadPicture(sample), dataset.GetCaptions(sample));
    }

    private PairBatch New(int pairs)
    {
        var batch = new PairBatch(new float[pairs * PictureLength], new long[pairs * config.TextLength]);
        Array.Fill(batch.Text, -1);
        return batch;
    }

    private Span<float> PixelsOf(PairBatch batch, int row) => batch.Pixels.AsSpan(row * PictureLength, PictureLength);

    private void Write(PairBatch batch, int row, string caption)
    {
        foreach (var (place, token) in tokenizer.Encode(caption).Take(config.TextLength).Index())
        {
            batch.Text[(row * config.TextLength) + place] = token;
        }
    }
}
