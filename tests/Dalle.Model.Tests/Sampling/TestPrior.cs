using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Sampling;

/// <summary>A small prior whose weights are large enough that every position's attention shows in the logits, and sampling from it without any cache.</summary>
internal sealed class TestPrior : IDisposable
{
    private readonly Transformer _transformer;

    public TestPrior(int layers = 6, int grid = 4, int text = 5, int width = 32, int heads = 2, int kernel = 3, Precision precision = Precision.Float32)
    {
        Config = new()
        {
            Layers = layers, Width = width, Heads = heads, TextLength = text, TextVocabulary = 11, GridSize = grid, ImageVocabulary = 40, ConvolutionKernel = kernel,
        };
        Parameters = new(TransformerParameters.Declare(Config), precision, CPU, trains: false);
        Parameters.Initialize(seed: 3);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Parameters.Master.add_(randn(Parameters.Count, generator: new Generator(9, CPU)), Number(0.1));
        foreach (var name in (string[])["text.token", "text.pad", "image.token", "image.unembedding"])
        {
            Parameters.View(Parameters.Master, name).mul_(Number(10));
        }

        Parameters.RefreshCompute();
        _transformer = new(Config, Parameters);
    }

    public TransformerConfig Config { get; }

    public ParameterStore Parameters { get; }

    /// <summary>Logits of every image position, given all image tokens, by the whole network's forward pass: <c>[position][vocabulary]</c>.</summary>
    public float[][] Logits(IReadOnlyList<int> text, IReadOnlyList<int> image)
    {
        using var scope = NewDisposeScope();
        var text_1T = tensor(Enumerable.Range(0, Config.TextLength).Select(i => i < text.Count ? text[i] : -1L).ToArray(), [1, Config.TextLength]);
        var image_1N = tensor(image.Select(token => (long)token).ToArray(), [1, Config.ImageLength]);
        var hidden = _transformer.Hidden(text_1T, image_1N);
        var logits = _transformer.ImageLogits(hidden.narrow(1, Config.TextLength - 1, Config.ImageLength)).contiguous().data<float>().ToArray();
        return [.. logits.Chunk(Config.ImageVocabulary)];
    }

    /// <summary>Samples by running the whole sequence again for every token.</summary>
    public int[] SampleUncached(SequenceRequest request)
    {
        var tokens = new int[Config.ImageLength];
        var sampler = new TokenSampler(Config.ImageVocabulary);
        for (var position = 0; position < tokens.Length; position++)
        {
            var logits = Logits(request.TextTokens, tokens)[position];
            if (request.Settings.IsGuided)
            {
                var blank = Logits([], tokens)[position];
                logits = [.. logits.Zip(blank, (prompted, without) => without + ((float)request.Settings.Guidance * (prompted - without)))];
            }

            tokens[position] = position < request.GivenTokens.Count && request.GivenTokens[position] != SequenceRequest.Free
                ? request.GivenTokens[position]
                : sampler.Sample(logits, request.Settings, request.Seed, request.Candidate, position);
        }

        return tokens;
    }

    public void Dispose()
    {
        _transformer.Dispose();
        Parameters.Dispose();
    }
}
