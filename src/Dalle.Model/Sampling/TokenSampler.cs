using Dalle.Model.Randomness;
using System.Numerics.Tensors;

namespace Dalle.Model.Sampling;

/// <summary>
/// Draws tokens by Gumbel-max: the largest of logit / temperature + noise is a draw from the softmax. The noise depends on (seed, candidate, position)
/// alone, so a picture's tokens do not depend on what else is sampled beside it.
/// </summary>
/// <remarks>Not thread-safe: it keeps its buffers.</remarks>
public sealed class TokenSampler
{
    private readonly int _vocabulary;
    private readonly float[] _scores;
    private readonly float[] _noise;
    private readonly ulong[] _order;

    /// <param name="vocabulary">Number of tokens to choose from.</param>
    public TokenSampler(int vocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 1);
        _vocabulary = vocabulary;
        _scores = new float[vocabulary];
        _noise = new float[GumbelNoise.PaddedLength(vocabulary)];
        _order = new ulong[vocabulary];
    }

    /// <summary>Draws a token.</summary>
    /// <param name="logits">One logit per token; minus infinity for tokens that cannot be.</param>
    /// <param name="settings">Temperature and filters, valid (<see cref="SamplingSettings.Validate"/>); guidance is the caller's.</param>
    /// <param name="seed">Seed of the request.</param>
    /// <param name="candidate">The picture of the request, counted from 0.</param>
    /// <param name="position">The image position, counted from 0.</param>
    /// <exception cref="ArgumentException">The logits are too few or too many, not numbers, or all impossible.</exception>
    public int Sample(ReadOnlySpan<float> logits, SamplingSettings settings, ulong seed, int candidate, int position)
    {
        if (logits.Length != _vocabulary)
        {
            throw new ArgumentException($"Expected {_vocabulary} logits, got {logits.Length}.", nameof(logits));
        }

        // NaN wins a maximum, so this one pass sees every value that is no logit.
        var largest = TensorPrimitives.Max(logits);
        if (!float.IsFinite(largest))
        {
            throw new ArgumentException($"Expected finite logits, got {largest} at image position {position}: the weights are damaged or the prior diverged.", nameof(logits));
        }

        TensorPrimitives.Subtract(logits, largest, _scores);
        TensorPrimitives.Multiply(_scores, (float)(1 / settings.Temperature), _scores);
        GumbelNoise.Fill(_noise, seed, Purpose.TokenSampling, candidate, position);
        if (settings.TopK < _vocabulary || settings.TopP < 1)
        {
            return SampleOfLikeliest(settings);
        }

        TensorPrimitives.Add(_scores, _noise.AsSpan(0, _vocabulary), _scores);
        return TensorPrimitives.IndexOfMax(_scores);
    }

    private int SampleOfLikeliest(SamplingSettings settings)
    {
        var (best, bestScore) = (-1, float.NegativeInfinity);
        foreach (var entry in Likeliest(settings))
        {
            var token = (int)(uint)entry;
            var score = _scores[token] + _noise[token];
            if (best < 0 || score > bestScore || (score == bestScore && token < best))
            {
                (best, bestScore) = (token, score);
            }
        }

        return best;
    }

    /// <summary>The tokens that the filters leave, from most to least likely; of equals the lower first. A token is the low word of its entry.</summary>
    private ReadOnlySpan<ulong> Likeliest(SamplingSettings settings)
    {
        var share = settings.TopP ?? 1;
        var total = Weight(_scores);

        // All tokens below (1 - p) / V of the total sum to less than 1 - p, so no top-p needs them, and few are left to sort. Half of it keeps clear of rounding.
        var floor = settings.TopK is null ? (float)Math.Log(0.5 * (1 - share) * total / _vocabulary) : float.NegativeInfinity;
        var count = 0;
        for (var token = 0; token < _vocabulary; token++)
        {
            if (_scores[token] >= floor)
            {
                // Scores are at most 0, and among numbers of one sign the order of the bits is that of the magnitudes.
                _order[count++] = ((ulong)BitConverter.SingleToUInt32Bits(MathF.Abs(_scores[token])) << 32) | (uint)token;
            }
        }

        _order.AsSpan(0, count).Sort();
        var left = Math.Min(settings.TopK ?? count, count);
        if (settings.TopK is not null)
        {
            total = 0;
            foreach (var entry in _order.AsSpan(0, left))
            {
                total += Math.Exp(_scores[(uint)entry]);
            }
        }

        double sum = 0;
        for (var kept = 0; kept < left && share < 1; kept++)
        {
            sum += Math.Exp(_scores[(uint)_order[kept]]);
            if (sum >= share * total)
            {
                return _order.AsSpan(0, kept + 1);
            }
        }

        return _order.AsSpan(0, left);
    }

    private static double Weight(ReadOnlySpan<float> scores)
    {
        double total = 0;
        foreach (var score in scores)
        {
            total += Math.Exp(score);
        }

        return total;
    }
}
