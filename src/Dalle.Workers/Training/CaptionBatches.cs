using Dalle.Data.Batches;
using Dalle.Data.Datasets;
using Dalle.Data.Randomness;
using Dalle.Data.TokenCache;
using Dalle.Data.Tokenization;
using Dalle.Model.Prior;
using Dalle.Model.Randomness;

namespace Dalle.Workers.Training;

/// <summary>The samples of one update of the prior.</summary>
/// <param name="Text">Text tokens <c>[B, T]</c>, flat; -1 where there is none.</param>
/// <param name="Image">Image tokens <c>[B, N]</c>, flat, in raster order.</param>
internal sealed record CaptionBatch(long[] Text, long[] Image);

/// <summary>Batches of captions and image tokens: a random caption of each sample, with BPE dropout and some captions blanked.</summary>
internal sealed class CaptionBatches(IDataset dataset, TextTokenizer tokenizer, TokenCacheReader cache, TransformerConfig config, PriorTraining training, ulong seed)
    : IDisposable
{
    /// <summary>The samples of an update, of all workers: how many text tokens there are in all decides what each weighs. A pure function of (seed, step). Thread-safe.</summary>
    public CaptionBatch Read(int step)
    {
        var samples = new int[training.BatchSize];
        SampleOrder.Fill(CounterRandom.Key(seed, 1, 0, Purpose.SampleOrder), step, dataset.TrainingCount, samples);
        var captionKey = CounterRandom.Key(seed, step, 0, Purpose.Caption);
        var dropoutKey = CounterRandom.Key(seed, step, 0, Purpose.CaptionDropout);
        var batch = new CaptionBatch(new long[samples.Length * config.TextLength], new long[samples.Length * config.ImageLength]);
        Array.Fill(batch.Text, -1);
        for (var i = 0; i < samples.Length; i++)
        {
            cache.Read(samples[i], batch.Image.AsSpan(i * config.ImageLength, config.ImageLength));
            if (new KeyedRandom(KeyedRandom.Key(dropoutKey, (ulong)i)).NextDouble() < training.CaptionDropout)
            {
                continue;
            }

            var random = new KeyedRandom(KeyedRandom.Key(captionKey, (ulong)i));
            var captions = dataset.GetCaptions(samples[i]);
            var tokens = tokenizer.Encode(captions[random.NextInt(captions.Count)], training.BpeDropout, random.NextUInt64());
            for (var t = 0; t < Math.Min(tokens.Count, config.TextLength); t++)
            {
                batch.Text[(i * config.TextLength) + t] = tokens[t];
            }
        }

        return batch;
    }

    /// <summary>First captions of <see cref="EvaluationSamples"/> with their text tokens.</summary>
    /// <param name="most">At most this many.</param>
    public IReadOnlyList<(string Caption, IReadOnlyList<int> Tokens)> ReadHeldOutCaptions(int most) =>
    [
        .. EvaluationSamples.Of(dataset, most).Select(index => dataset.GetCaptions(index)[0])
            .Select(caption => (caption, (IReadOnlyList<int>)[.. tokenizer.Encode(caption).Take(config.TextLength)])),
    ];

    public void Dispose() => cache.Dispose();
}
