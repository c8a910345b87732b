using Dalle.Contracts.Models;
using Dalle.Data.Augmentation;
using Dalle.Data.Pictures;
using Dalle.Data.Tokenization;
using Dalle.Model.Parameters;
using Dalle.Model.Reranking;
using Dalle.Model.Safetensors;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Training;
using static TorchSharp.torch;

namespace Dalle.Workers.Models;

/// <summary>The reranker of a published model in memory, with the model's tokenizer. It computes in 32 bit.</summary>
/// <remarks>Made, used and disposed on one thread.</remarks>
public sealed class LoadedReranker : IDisposable
{
    private readonly ParameterStore _parameters;
    private readonly TextTokenizer _tokenizer;
    private readonly Device _device;

    private LoadedReranker(RerankerConfig config, string weights, TextTokenizer tokenizer, Device device)
    {
        (_tokenizer, _device) = (tokenizer, device);
        _parameters = new(RerankerParameters.Declare(config), Precision.Float32, device, trains: false);
        ParameterFile.Load(weights, _parameters);
        Network = new(config, _parameters);
    }

    /// <summary>The network.</summary>
    public Reranker Network { get; }

    /// <summary>Reads the reranker of a model whose files were verified.</summary>
    /// <param name="store">Where its files are.</param>
    /// <param name="model">The model.</param>
    /// <param name="device">Where its tensors go.</param>
    /// <returns>Null if the model has none.</returns>
    /// <exception cref="InvalidDataException">Its card or its weights are not as they must be.</exception>
    public static LoadedReranker? Read(ArtifactStore store, ModelManifest model, Device device) => ModelFolder.ReadConfig(store, model).Reranker is { } config
        ? new(config, store.PathOf($"{model.Path}/{ModelFolder.Reranker}"), TextTokenizer.Load(store.PathOf(model.Path)), device)
        : null;

    /// <summary>A caption's text tokens, cut off where it is longer than the network takes, as in training.</summary>
    public IReadOnlyList<int> Encode(string caption) => [.. _tokenizer.Encode(caption).Take(Network.Config.TextLength)];

    /// <summary>How well pictures go with a caption: see <see cref="Reranker.Score"/>.</summary>
    public IReadOnlyList<float> Score(IReadOnlyList<Picture> pictures, string caption)
    {
        using var scope = NewDisposeScope();
        return Network.Score(ToTensor(pictures), Encode(caption));
    }

    /// <summary>How well each picture goes with its caption, on the mean, and how often they find each other.</summary>
    /// <param name="pairs">At least one.</param>
    public RerankerScores Measure(IReadOnlyList<(string Caption, Picture Picture)> pairs)
    {
        using var scope = NewDisposeScope();
        var text_NT = tensor([.. pairs.SelectMany(pair => Network.Padded(Encode(pair.Caption)))], [pairs.Count, Network.Config.TextLength], device: _device);
        var image_NE = cat([.. pairs.Select(pair => Network.EmbedPictures(ToTensor([pair.Picture])))]);
        var text_NE = Network.EmbedText(text_NT);
        return new(image_NE.mul(text_NE).sum().item<float>() / pairs.Count, RetrievalAccuracy.Of(image_NE, text_NE, text_NT));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Network.Dispose();
        _parameters.Dispose();
    }

    private Tensor ToTensor(IReadOnlyList<Picture> pictures)
    {
        var size = Network.Config.ImageSize;
        var length = 3 * size * size;
        var pixels = new float[pictures.Count * length];
        foreach (var (i, picture) in pictures.Index())
        {
            PictureAugmentation.Centre(picture, size, pixels.AsSpan(i * length, length));
        }

        return Pixels.ToTensor(pixels, size, _device);
    }
}

/// <summary>What a reranker says of pictures and their captions.</summary>
/// <param name="Score">Mean cosine between a picture's embedding and its caption's, from -1 to 1.</param>
/// <param name="Retrieval">How often they find each other.</param>
public sealed record RerankerScores(double Score, RetrievalAccuracy Retrieval);
