using System.Numerics.Tensors;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>
/// What 8-bit weights do to a prior's tokens: at every position, behind the tokens that the prior itself has drawn, what it and its 8-bit copy would draw next with the same
/// noise. One position apart, a picture goes another way, though not a worse one; so pictures are judged by what they show, and this by how often the way parts.
/// </summary>
/// <param name="Tokens">Positions compared.</param>
/// <param name="Drawn">Share of positions where both draw the same token.</param>
/// <param name="Likeliest">Share of positions where the same token is the most likely.</param>
/// <param name="Divergence">Mean Kullback-Leibler divergence of the copy's distribution from the prior's, in nats.</param>
public sealed record TokenAgreement(int Tokens, double Drawn, double Likeliest, double Divergence)
{
    /// <summary>Compares on one picture of each caption.</summary>
    /// <param name="config">A shape whose heads are a multiple of 16 wide.</param>
    /// <param name="parameters">The prior's weights, on the CPU.</param>
    /// <param name="captions">Text tokens of each caption.</param>
    /// <param name="settings">How tokens are drawn; guidance is left out.</param>
    /// <param name="seed">Caption i is drawn with seed + i.</param>
    /// <param name="threads">Threads to compute with.</param>
    /// <exception cref="ArgumentException">The shape is another.</exception>
    public static TokenAgreement Measure(
        TransformerConfig config, ParameterStore parameters, IReadOnlyList<IReadOnlyList<int>> captions, SamplingSettings settings, ulong seed, int threads)
    {
        if (!PackedDecoder.Supports(config))
        {
            throw new ArgumentException($"Expected heads of a multiple of 16 components, got {config.HeadWidth}: such a prior has no 8-bit weights.", nameof(config));
        }

        using var own = PackedDecoder.Create(config, parameters, new(Slots: 1, IdlePrompts: 0), threads);
        using var copy = PackedDecoder.Create(config, parameters, new(Slots: 1, IdlePrompts: 0), threads, SamplingWeights.EightBit);
        var sampler = new TokenSampler(config.ImageVocabulary);
        var (tokens, drawn, likeliest, divergence) = (0, 0, 0, 0.0);
        for (var caption = 0; caption < captions.Count; caption++)
        {
            DecodeRow[] rows = [.. Text(captions[caption])];
            for (var position = 0; position < config.ImageLength; position++, tokens++)
            {
                own.Step(rows);
                copy.Step(rows);
                var expected = own.Logits(rows.Length - 1);
                var other = copy.Logits(rows.Length - 1);
                var token = sampler.Sample(expected, settings, seed + (ulong)caption, 0, position);
                drawn += sampler.Sample(other, settings, seed + (ulong)caption, 0, position) == token ? 1 : 0;
                likeliest += TensorPrimitives.IndexOfMax(expected) == TensorPrimitives.IndexOfMax(other) ? 1 : 0;
                divergence += KullbackLeibler(expected, other);
                rows = [new(Prompt: 0, Slot: 0, position, token, Predicts: true)];
            }
        }

        return new(tokens, (double)drawn / tokens, (double)likeliest / tokens, divergence / tokens);

        IEnumerable<DecodeRow> Text(IReadOnlyList<int> caption) => Enumerable.Range(0, config.TextLength).Select(
            position => new DecodeRow(0, Slot: -1, position, position < caption.Count ? caption[position] : -1, Predicts: position == config.TextLength - 1));
    }

    private static double KullbackLeibler(ReadOnlySpan<float> logits, ReadOnlySpan<float> otherLogits)
    {
        var (shares, others) = (new float[logits.Length], new float[logits.Length]);
        TensorPrimitives.SoftMax(logits, shares);
        TensorPrimitives.SoftMax(otherLogits, others);
        var sum = 0.0;
        for (var i = 0; i < shares.Length; i++)
        {
            sum += shares[i] == 0 ? 0 : shares[i] * (Math.Log(shares[i]) - Math.Log(Math.Max(others[i], float.Epsilon)));
        }

        return sum;
    }
}
