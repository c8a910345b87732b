using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Data.Tokenization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Safetensors;
using Dalle.Model.Sampling;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;
using Dalle.Workers.Training;
using static TorchSharp.torch;

namespace Dalle.Workers.Generation;

/// <summary>A published model in memory, ready to sample.</summary>
/// <remarks>Used only on its device's thread, but for the tokenizer.</remarks>
internal sealed class LoadedModel : IDisposable
{
    private readonly ParameterStore _decoderParameters;
    private readonly ParameterStore _priorParameters;
    private readonly DiscreteVae _decoder;
    private readonly Device _device;

    /// <summary>Verifies the model's files and loads them.</summary>
    /// <exception cref="InvalidDataException">A file is missing or is not the one that was published.</exception>
    public LoadedModel(ArtifactStore store, ModelManifest manifest, Device device)
    {
        ModelFolder.Verify(store, manifest);
        (Manifest, Preset, _device) = (manifest, Preset.Find(manifest.Preset), device);
        Tokenizer = TextTokenizer.Load(store.PathOf(manifest.Path));
        _decoderParameters = new(DiscreteVae.Declare(Preset.DiscreteVae), Precision.Float32, device, trains: false);
        ParameterFile.Load(store.PathOf($"{manifest.Path}/{ModelFolder.DiscreteVae}"), _decoderParameters);
        _decoder = new(Preset.DiscreteVae, _decoderParameters);
        _priorParameters = new(TransformerParameters.Declare(Preset.Transformer), Precision.Float32, device, trains: false);
        ParameterFile.Load(store.PathOf($"{manifest.Path}/{ModelFolder.Prior}"), _priorParameters);
        Sampler = new(Preset.Transformer, _priorParameters);
    }

    public ModelManifest Manifest { get; }

    public Preset Preset { get; }

    public TextTokenizer Tokenizer { get; }

    public Sampler Sampler { get; }

    /// <summary>Image tokens of one row.</summary>
    public int RowLength => Preset.Transformer.GridSize;

    /// <summary>Decodes a picture, by itself, so that its pixels depend on nothing else. Rows that are not sampled yet are white.</summary>
    /// <param name="tokens">Image tokens of whole rows, in raster order.</param>
    public Picture Decode(ReadOnlySpan<int> tokens)
    {
        using var scope = NewDisposeScope();
        var (grid, size) = (Preset.DiscreteVae.GridSize, Preset.DiscreteVae.ImageSize);
        var all = new long[grid * grid];
        for (var i = 0; i < all.Length; i++)
        {
            // The last row stands in for the missing ones: the decoder sees past the seam, and what it paints there is covered.
            all[i] = tokens[i < tokens.Length ? i : tokens.Length - grid + (i % grid)];
        }

        var picture = Pixels.ToPictures(_decoder.Decode(tensor(all, [1, grid, grid], device: _device)))[0];
        picture.Rgb.AsSpan(tokens.Length / grid * (size / grid) * size * 3).Fill(byte.MaxValue);
        return picture;
    }

    public void Dispose()
    {
        Sampler.Dispose();
        _priorParameters.Dispose();
        _decoderParameters.Dispose();
    }
}
