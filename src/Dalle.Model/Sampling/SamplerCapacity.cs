using Dalle.Model.Parameters;
using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>How many sequences a sampler has room for.</summary>
/// <param name="Slots">Images sampled at one time; a guided one takes two. Default: 64.</param>
/// <param name="IdlePrompts">Captions kept after their last image, in case they are asked for again. Default: 32.</param>
public sealed record SamplerCapacity(int Slots = 64, int IdlePrompts = 32)
{
    /// <summary>Captions that have a place: each slot may need its own.</summary>
    public int Prompts => Slots + IdlePrompts;

    /// <summary>Bytes of the keys and values of one image: only what each layer's mask can attend to.</summary>
    /// <param name="config">The prior's shape.</param>
    /// <param name="precision">The precision of its weights; keys and values take 2 bytes each beside bfloat16 ones, else at most 4.</param>
    public static long SlotBytes(TransformerConfig config, Precision precision) => Bytes(config, precision, new AttentionPlan(config).ImageBlocks);

    /// <summary>Bytes of the keys and values of one caption.</summary>
    /// <inheritdoc cref="SlotBytes" path="/param"/>
    public static long PromptBytes(TransformerConfig config, Precision precision)
    {
        var blocks = new AttentionPlan(config).TextBlocks;
        return Bytes(config, precision, _ => blocks);
    }

    /// <summary>The capacity that a number of bytes has room for, at most this one: slots first, idle captions in what is left.</summary>
    /// <param name="config">The prior's shape.</param>
    /// <param name="precision">The precision of its weights.</param>
    /// <param name="bytes">Bytes for keys and values.</param>
    /// <exception cref="ArgumentException">There is no room for one guided image.</exception>
    public SamplerCapacity Within(TransformerConfig config, Precision precision, long bytes)
    {
        var (slot, prompt) = (SlotBytes(config, precision), PromptBytes(config, precision));
        var slots = Math.Min(Slots, bytes / (slot + prompt));
        return slots >= 2
            ? new((int)slots, (int)Math.Min(IdlePrompts, (bytes - (slots * (slot + prompt))) / prompt))
            : throw new ArgumentException(
                $"Expected room for two sequences, {2 * (slot + prompt):N0} bytes of keys and values, got {bytes:N0}: raise the limit, or use a smaller model.");
    }

    private static long Bytes(TransformerConfig config, Precision precision, Func<AttentionKind, int> blocks) =>
        Enumerable.Range(0, config.Layers).Sum(layer => 2L * blocks(config.Attention(layer)) * AttentionPlan.BlockSize * config.Width * (precision == Precision.BFloat16 ? 2 : 4));
}
