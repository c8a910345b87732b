using static TorchSharp.torch;

namespace Dalle.Model.Parameters;

/// <summary>Consecutive rows of a parameter array, counted along its first dimension.</summary>
/// <param name="First">The first of them.</param>
/// <param name="Count">How many they are; 0 for none.</param>
public readonly record struct RowRange(long First, long Count)
{
    /// <summary>These rows of the whole array: a view.</summary>
    public Tensor Of(Tensor array) => array.narrow(0, First, Count);
}
