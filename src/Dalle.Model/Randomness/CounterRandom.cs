using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using TorchSharp;

namespace Dalle.Model.Randomness;

/// <summary>What a random number is for. Values are part of what makes a run reproducible: append only.</summary>
public enum Purpose
{
    /// <summary>Initial parameter values.</summary>
    Initialization = 0,

    /// <summary>Gumbel noise of the relaxed codebook lookup.</summary>
    GumbelNoise = 1,

    /// <summary>Crops, flips and other augmentation.</summary>
    Augmentation = 2,

    /// <summary>Which of a picture's captions is used, and BPE dropout.</summary>
    Caption = 3,

    /// <summary>The order of samples within a pass.</summary>
    SampleOrder = 4,

    /// <summary>Dropping captions for classifier-free guidance.</summary>
    CaptionDropout = 5,

    /// <summary>Gumbel noise that image tokens are drawn with.</summary>
    TokenSampling = 6,

    /// <summary>The matrices that compressed gradients are projected by.</summary>
    GradientProjection = 7,

    /// <summary>Which tokens of a picture are drawn anew.</summary>
    Variation = 8,
}

/// <summary>Counter-based randomness: a generator is a pure function of (seed, step, worker, purpose), so it depends on no history.</summary>
public static class CounterRandom
{
    /// <summary>A 64-bit key of its arguments, the same on every machine.</summary>
    public static ulong Key(ulong seed, long step, int worker, Purpose purpose, string detail = "")
    {
        Span<ulong> words = [seed, (ulong)step, (ulong)worker, (ulong)purpose, XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(detail))];
        return XxHash3.HashToUInt64(MemoryMarshal.AsBytes(words));
    }

    /// <summary>A torch generator on the CPU, seeded by <see cref="Key"/>. The caller disposes it.</summary>
    public static torch.Generator Generator(ulong seed, long step, int worker, Purpose purpose, string detail = "") =>
        new(Key(seed, step, worker, purpose, detail), torch.CPU);
}
