namespace Dalle.Model.Training;

/// <summary>The number formats that AdamW keeps its running means and variances in. Stored by name: names stay.</summary>
public enum MomentFormat
{
    /// <summary>32-bit floats.</summary>
    Float32 = 0,

    /// <summary>
    /// The paper's 16 bits (appendix on mixed precision) for resblocks' weights: <see cref="Parameters.Float1x6x9"/> for means, <see cref="Parameters.Float0x6x10"/> for variances. What always has
    /// 32 bits (embeddings, unembeddings, gains, biases) has 32-bit moments too. A change of a variance by less than a part in some thousands is rounded away: little to one that forgets
    /// as fast as that of the paper's prior (0.96), much to one of 0.999.
    /// </summary>
    Paper16 = 1,
}
