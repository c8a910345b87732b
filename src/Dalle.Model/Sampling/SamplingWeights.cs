namespace Dalle.Model.Sampling;

/// <summary>How a sampler on the CPU keeps the weights of its matrices.</summary>
public enum SamplingWeights
{
    /// <summary>As the parameters are: bfloat16 in 16 bit, all others in 32.</summary>
    AsTrained,

    /// <summary>
    /// In 8 bit: whole numbers from -127 to 127, and a scale for each output. A quarter to half of the memory; <see cref="TokenAgreement"/> tells what it does to the tokens.
    /// </summary>
    EightBit,
}
