using System.Runtime.InteropServices;
using Dalle.Data.Augmentation;
using Dalle.Data.Batches;
using Dalle.Data.Datasets;
using Dalle.Data.Sources;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.DiscreteVae;

/// <summary>The emoji dataset in memory, imported on first use: skin tones apart from their base emoji never come to stand on both sides of the split.</summary>
internal sealed class EmojiPictures : IDisposable
{
    private const int Side = 64;
    private readonly string _folder = Directory.CreateTempSubdirectory("dalle-emoji-").FullName;
    private readonly IDataset _dataset;
    private readonly int _length = 3 * Side * Side;

    public EmojiPictures()
    {
        var folder = Path.Combine(_folder, "emoji");
        DatasetImporter.Import(SampleSources.Open("emoji"), folder).GetAwaiter().GetResult();
        _dataset = Dataset.Open(folder);
    }

    /// <summary>All held-out pictures, float32 <c>[N, 3, 64, 64]</c>.</summary>
    public Tensor HeldOut() => Read([.. Enumerable.Range(_dataset.TrainingCount, _dataset.Count - _dataset.TrainingCount)]);

    /// <summary>The pictures of one update, float32 <c>[B, 3, 64, 64]</c>.</summary>
    public Tensor Batch(int step, int size)
    {
        var samples = new int[size];
        SampleOrder.Fill(seed: 1, step, _dataset.TrainingCount, samples);
        return Read(samples);
    }

    public void Dispose()
    {
        _dataset.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private Tensor Read(int[] samples)
    {
        var pixels = empty(samples.Length, 3, Side, Side);
        var values = MemoryMarshal.Cast<byte, float>(pixels.bytes);
        for (var i = 0; i < samples.Length; i++)
        {
            PictureAugmentation.Centre(_dataset.ReadPicture(samples[i]), Side, values.Slice(i * _length, _length));
        }

        return pixels;
    }
}
