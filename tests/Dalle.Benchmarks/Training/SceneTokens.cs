using System.Runtime.InteropServices;
using Dalle.Data.Augmentation;
using Dalle.Data.Scenes;
using Dalle.Data.Tokenization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Training;

// Shape suffixes: B batch, T text tokens, N image tokens, K codes, D width of a code.

/// <summary>Captions of the built-in scenes and their image tokens, from a discrete VAE that has had a short course on them: what a prior learns from.</summary>
internal sealed class SceneTokens : IDisposable
{
    private const int HeldOutSamples = 128, EncodedAtOnce = 64;

    private readonly Preset _preset;
    private readonly SceneDataset _scenes;
    private readonly TextTokenizer _tokenizer;
    private readonly DiscreteVaeTrainer _vae;

    /// <param name="preset">Its networks, and how they are trained; in 32 bit.</param>
    /// <param name="samples">Scenes to learn from.</param>
    /// <param name="updates">Updates of the discrete VAE.</param>
    public SceneTokens(Preset preset, int samples, int updates)
    {
        (_preset, _scenes) = (preset, new(trainingCount: samples, evaluationCount: HeldOutSamples));
        _tokenizer = new(BpeTrainer.Train(Enumerable.Range(0, samples).SelectMany(_scenes.GetCaptions), preset.TokenizerVocabulary));
        using var scope = NewDisposeScope();
        var training = preset.DiscreteVaeTraining.WithUpdates(updates) with { Precision = Precision.Float32 };
        _vae = new(preset.DiscreteVae, training, seed: 1, CPU);
        for (var step = 0; step < updates; step++)
        {
            using var pixels_BCHW = Pictures(step * training.BatchSize % samples, training.BatchSize);
            _vae.Step(step, pixels_BCHW, report: false);
        }

        Image_BN = Encode(0, samples).DetachFromDisposeScope();
        HeldOut = (Captions(samples, HeldOutSamples).DetachFromDisposeScope(), Encode(samples, HeldOutSamples).DetachFromDisposeScope());
    }

    /// <summary>The codebook, float32 <c>[K, D]</c>: not to be disposed.</summary>
    public Tensor Codebook_KD => _vae.AveragedNetwork.Codebook;

    /// <summary>Captions and image tokens that are not learnt from.</summary>
    public (Tensor Text_BT, Tensor Image_BN) HeldOut { get; }

    private Tensor Image_BN { get; }

    /// <summary>The samples of an update, the same for all who ask.</summary>
    public (Tensor Text_BT, Tensor Image_BN) Batch(int step)
    {
        var size = _preset.PriorTraining.BatchSize;
        var first = (int)((long)step * size % (_scenes.TrainingCount - size + 1));
        return (Captions(first, size), Image_BN.narrow(0, first, size));
    }

    public void Dispose()
    {
        Image_BN.Dispose();
        HeldOut.Text_BT.Dispose();
        HeldOut.Image_BN.Dispose();
        _vae.Dispose();
        _scenes.Dispose();
    }

    private Tensor Captions(int first, int count)
    {
        var length = _preset.Transformer.TextLength;
        var text_BT = full(count, length, Number(-1), ScalarType.Int64);
        var tokens = MemoryMarshal.Cast<byte, long>(text_BT.bytes);
        for (var i = 0; i < count; i++)
        {
            var captions = _scenes.GetCaptions(first + i);
            foreach (var (t, token) in _tokenizer.Encode(captions[i % captions.Count]).Take(length).Index())
            {
                tokens[(i * length) + t] = token;
            }
        }

        return text_BT;
    }

    private Tensor Encode(int first, int count) => cat(
        [
            .. Enumerable.Range(0, (count + EncodedAtOnce - 1) / EncodedAtOnce).Select(piece => _vae.AveragedNetwork
                .Encode(Pictures(first + (piece * EncodedAtOnce), Math.Min(EncodedAtOnce, count - (piece * EncodedAtOnce)))).flatten(1)),
        ]);

    private Tensor Pictures(int first, int count)
    {
        var size = _preset.DiscreteVae.ImageSize;
        var pixels_BCHW = empty(count, 3, size, size);
        var values = MemoryMarshal.Cast<byte, float>(pixels_BCHW.bytes);
        for (var i = 0; i < count; i++)
        {
            PictureAugmentation.Centre(_scenes.ReadPicture(first + i), size, values.Slice(i * 3 * size * size, 3 * size * size));
        }

        return pixels_BCHW;
    }
}
