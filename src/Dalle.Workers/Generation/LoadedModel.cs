using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Data.Tokenization;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Safetensors;
using Dalle.Model.Sampling;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;
using Dalle.Workers.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;
using Vae = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Workers.Generation;

/// <summary>A published model in memory: tokenizer, prior ready to sample, decoder.</summary>
/// <remarks>Made, used and disposed on its device's thread; only <see cref="Encode(string)"/> may be called from anywhere.</remarks>
internal sealed class LoadedModel : IDisposable
{
    private readonly ParameterStore _vaeParameters;
    private readonly ParameterStore? _priorParameters;
    private readonly TextTokenizer _tokenizer;
    private readonly Vae _vae;
    private readonly LoadedReranker? _reranker;
    private readonly Device _device;

    /// <summary>Reads a model whose files were verified.</summary>
    /// <param name="store">Where its files are.</param>
    /// <param name="manifest">The model.</param>
    /// <param name="device">Where its tensors go.</param>
    /// <param name="threads">Threads to sample with.</param>
    /// <param name="options">How many pictures it samples together.</param>
    /// <exception cref="InvalidDataException">Its card or its weights are not as they must be.</exception>
    public LoadedModel(ArtifactStore store, ModelManifest manifest, Device device, int threads, GeneratorOptions options)
    {
        (Name, Config, _device) = (manifest.Name, ModelFolder.ReadConfig(store, manifest), device);
        _tokenizer = TextTokenizer.Load(store.PathOf(manifest.Path));
        _vaeParameters = new ParameterStore(Vae.Declare(Config.DiscreteVae), Precision.Float32, device, trains: false);
        ParameterFile.Load(store.PathOf($"{manifest.Path}/{ModelFolder.DiscreteVae}"), _vaeParameters);
        _vae = new Vae(Config.DiscreteVae, _vaeParameters);
        _reranker = LoadedReranker.Read(store, manifest, device);
        var prior = ReadPrior(store, manifest, Config, device);
        Sampler = new Sampler(
            Config.Transformer, prior, new SamplerCapacity(options.Slots).Within(Config.Transformer, Config.Precision, options.CacheBytes), threads, options.Weights);
        if (Sampler.HasOwnWeights)
        {
            prior.Dispose();
        }
        else
        {
            _priorParameters = prior;
        }
    }

    public string Name { get; }

    /// <summary>What it is built from.</summary>
    public ModelConfig Config { get; }

    public int GridSize => Config.Transformer.GridSize;

    public Sampler Sampler { get; }

    /// <summary>The prompt's text tokens.</summary>
    /// <exception cref="InvalidRequestException">They are more than the model takes.</exception>
    public IReadOnlyList<int> Encode(string prompt)
    {
        var tokens = _tokenizer.Encode(prompt);
        return tokens.Count <= Config.Transformer.TextLength ? tokens : throw new InvalidRequestException(
            $"Prompt: it comes to {tokens.Count} text tokens, and model '{Name}' takes {Config.Transformer.TextLength}; shorten it.", "Prompt");
    }

    /// <summary>Whether it can tell how well a picture goes with a prompt.</summary>
    public bool Ranks => _reranker is not null;

    /// <summary>How well a picture goes with a prompt: a cosine, more is better.</summary>
    /// <exception cref="InvalidOperationException">The model has no reranker.</exception>
    public double Score(Picture picture, string prompt) =>
        _reranker?.Score([picture], prompt)[0] ?? throw new InvalidOperationException($"Model '{Name}' has no reranker.");

    /// <summary>The image tokens of a picture, in raster order.</summary>
    /// <param name="pixels">Pixels in [0, 1], <c>[3, size, size]</c>.</param>
    public IReadOnlyList<int> Encode(float[] pixels)
    {
        using var scope = NewDisposeScope();
        var tokens_Bhw = _vae.Encode(Pixels.ToTensor(pixels, Config.DiscreteVae.ImageSize, _device)).cpu().contiguous();
        return [.. tokens_Bhw.data<long>().Select(token => (int)token)];
    }

    /// <summary>The picture of a whole grid of image tokens, or of its first rows on a white ground.</summary>
    /// <remarks>One picture at a time: the same tokens give the same bytes, whatever else is drawn.</remarks>
    public Picture Decode(IReadOnlyList<int> tokens)
    {
        using var scope = NewDisposeScope();
        var rows = tokens.Count / GridSize;

        // The decoder looks beyond a row's edge: it is shown the last row again rather than an arbitrary code.
        var grid = Enumerable.Range(0, GridSize * GridSize).Select(i => (long)tokens[(Math.Min(i / GridSize, rows - 1) * GridSize) + (i % GridSize)]).ToArray();
        var size = Config.DiscreteVae.ImageSize;
        var known = rows * size / GridSize;
        var pixels_BCHW = _vae.Decode(tensor(grid, [1, GridSize, GridSize], device: _device));
        pixels_BCHW.narrow(2, known, size - known).fill_(One);
        return Pixels.ToPictures(pixels_BCHW)[0];
    }

    /// <summary>The weights of a model's prior; the caller disposes them.</summary>
    /// <exception cref="InvalidDataException">They are not as they must be.</exception>
    public static ParameterStore ReadPrior(ArtifactStore store, ModelManifest manifest, ModelConfig config, Device device)
    {
        var parameters = new ParameterStore(TransformerParameters.Declare(config.Transformer), config.Precision, device, trains: false);
        ParameterFile.Load(store.PathOf($"{manifest.Path}/{ModelFolder.Prior}"), parameters);
        return parameters;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Sampler.Dispose();
        _reranker?.Dispose();
        _priorParameters?.Dispose();
        _vaeParameters.Dispose();
    }
}
