namespace Dalle.Collectives.Sharding;

/// <summary>What one device of a training job keeps of parameters and gradients, in bytes. Activations are not in it.</summary>
/// <param name="Master">Its shard of the parameters, 32 bit.</param>
/// <param name="Moments">The optimiser's two: 16 bit for matrices of resblocks where the preset says so, as the paper's do (appendix D), else 32 bit.</param>
/// <param name="Average">The moving average of its shard, 32 bit.</param>
/// <param name="Gradients">The mean gradients of its shard, 32 bit, and those of one whole block before they are scattered, in the block's own format.</param>
/// <param name="Error">The error buffer of compression, in its format.</param>
/// <param name="Compression">What compression computes with: gradients added to the error buffer, factors, projections; 32 bit.</param>
/// <param name="Gathered">The whole parameters of two blocks, one that computes and one that is fetched ahead: 16 bit for matrices of resblocks.</param>
public sealed record DeviceMemory(long Master, long Moments, long Average, long Gradients, long Error, long Compression, long Gathered)
{
    /// <summary>All together.</summary>
    public long Total => Master + Moments + Average + Gradients + Error + Compression + Gathered;
}
