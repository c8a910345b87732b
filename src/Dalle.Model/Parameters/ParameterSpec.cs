namespace Dalle.Model.Parameters;

/// <summary>What a parameter is to the optimiser and to mixed precision (paper, appendix on mixed precision and on training).</summary>
public enum ParameterKind
{
    /// <summary>A matrix or convolution kernel inside a resblock: computed in 16 bit under mixed precision, decayed.</summary>
    Weight,

    /// <summary>A matrix or convolution kernel that always computes in 32 bit (unembeddings, the networks' ends): decayed.</summary>
    FullPrecisionWeight,

    /// <summary>Rows looked up by token or position: 32 bit, not decayed.</summary>
    Embedding,

    /// <summary>A layer normalisation's gain: 32 bit, not decayed.</summary>
    Gain,

    /// <summary>An additive bias: 32 bit, not decayed.</summary>
    Bias,
}

/// <summary>The declaration of one parameter array. A network is the list of these and the functions over them, so counting needs no memory.</summary>
/// <param name="Name">The checkpoint key, part of the file format: independent of C# names.</param>
/// <param name="Kind">Decides precision and weight decay.</param>
/// <param name="InitialMean">The constant the array starts around: 1 for gains, else 0.</param>
/// <param name="InitialDeviation">The standard deviation of the normal distribution it starts from; 0 for a constant.</param>
/// <param name="Shape">The array's dimensions.</param>
public sealed record ParameterSpec(string Name, ParameterKind Kind, double InitialMean, double InitialDeviation, params long[] Shape)
{
    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>Number of rows: the first dimension.</summary>
    public long Rows => Shape[0];

    /// <summary>Whether AdamW decays it: weight matrices only.</summary>
    public bool Decays => Kind is ParameterKind.Weight or ParameterKind.FullPrecisionWeight;

    /// <summary>The same array with another number of rows, 0 for none.</summary>
    public ParameterSpec WithRows(long rows) => this with { Shape = [rows, .. Shape[1..]] };
}

/// <summary>The number format that resblocks compute in.</summary>
public enum Precision
{
    /// <summary>32-bit floats everywhere.</summary>
    Float32 = 0,

    /// <summary>bfloat16 inside resblocks; 32-bit master weights, identity path, logits, gains, biases and embeddings.</summary>
    BFloat16 = 1,

    /// <summary>
    /// 16-bit floats of 5 exponent bits inside resblocks, as in the paper; else as <see cref="BFloat16"/>. So short a range holds gradients only under a scale for each resblock
    /// (<see cref="Training.GradientScales"/>), which the prior has and the discrete VAE has not.
    /// </summary>
    Float16 = 2,
}
