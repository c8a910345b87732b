using Dalle.Data.Augmentation;
using Dalle.Data.Batches;
using Dalle.Data.Datasets;
using Dalle.Data.Randomness;
using Dalle.Model.Randomness;

namespace Dalle.Workers.Training;

/// <summary>Batches of augmented pictures: float32 <c>[B, 3, size, size]</c> in [0, 1], flat.</summary>
internal sealed class PictureBatches(IDataset dataset, ulong seed, int batchSize, int size, bool flip) : IDisposable
{
    private int PictureLength => 3 * size * size;

    /// <summary>A worker's rows of an update's pictures: a pure function of (seed, step). Thread-safe.</summary>
    public float[] Read(int step, BatchRows rows)
    {
        var samples = new int[batchSize];
        SampleOrder.Fill(CounterRandom.Key(seed, 0, 0, Purpose.SampleOrder), step, dataset.TrainingCount, samples);
        var key = CounterRandom.Key(seed, step, 0, Purpose.Augmentation);
        var pixels = new float[rows.Count * PictureLength];
        for (var i = 0; i < rows.Count; i++)
        {
            var row = rows.First + i;
            PictureAugmentation.ForDiscreteVae(dataset.ReadPicture(samples[row]), size, KeyedRandom.Key(key, (ulong)row), flip, pixels.AsSpan(i * PictureLength, PictureLength));
        }

        return pixels;
    }

    /// <summary>Whether the dataset holds any sample out.</summary>
    public bool HasHeldOut => dataset.TrainingCount < dataset.Count;

    /// <summary>Pictures of <see cref="EvaluationSamples"/>, centred.</summary>
    /// <param name="most">At most this many.</param>
    public float[] ReadHeldOut(int most)
    {
        var samples = EvaluationSamples.Of(dataset, most);
        var pixels = new float[samples.Length * PictureLength];
        for (var i = 0; i < samples.Length; i++)
        {
            PictureAugmentation.Centre(dataset.ReadPicture(samples[i]), size, pixels.AsSpan(i * PictureLength, PictureLength));
        }

        return pixels;
    }

    public void Dispose()
    {
    }
}
