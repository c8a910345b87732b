using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Model.Sampling;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Generation;
using static TorchSharp.torch;

namespace Dalle.Workers.Models;

/// <summary>What a published model comes to when its prior's matrices are kept in 8 bit (<see cref="GeneratorOptions.Weights"/>).</summary>
/// <param name="Tokens">What that does to its tokens.</param>
/// <param name="Pictures">A picture of each caption, drawn so.</param>
public sealed record EightBitTrial(TokenAgreement Tokens, IReadOnlyList<(string Caption, Picture Picture)> Pictures)
{
    /// <summary>Draws one picture of each caption by the model's own settings, on the processor.</summary>
    /// <param name="store">Where the model's files are; they were verified.</param>
    /// <param name="model">The model.</param>
    /// <param name="captions">What is drawn.</param>
    /// <param name="seed">Caption i is drawn with seed + i, as a request of one candidate would be.</param>
    /// <param name="threads">Threads to compute with.</param>
    /// <exception cref="InvalidDataException">The model's card or weights are not as they must be.</exception>
    /// <exception cref="ArgumentException">The heads of the model's prior are no multiple of 16 wide, so it has no 8-bit weights.</exception>
    public static EightBitTrial Run(ArtifactStore store, ModelManifest model, IReadOnlyList<string> captions, ulong seed, int threads)
    {
        using var loaded = new LoadedModel(store, model, CPU, threads, new GeneratorOptions { Weights = SamplingWeights.EightBit });
        var tokens = loaded.Sampler.SampleAll([.. captions.Select((caption, i) => new SequenceRequest(loaded.Encode(caption), seed + (ulong)i, 0, loaded.Config.Sampling))]);
        using var prior = LoadedModel.ReadPrior(store, model, loaded.Config, CPU);
        return new(
            TokenAgreement.Measure(loaded.Config.Transformer, prior, [.. captions.Select(loaded.Encode)], loaded.Config.Sampling, seed, threads),
            [.. captions.Zip(tokens, (caption, drawn) => (caption, loaded.Decode(drawn)))]);
    }
}
