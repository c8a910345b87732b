namespace Dalle.Model.Prior;

/// <summary>Which image tokens an image token attends to in one layer. Every kind also attends to all text, and text attends causally to text.</summary>
public enum AttentionKind
{
    /// <summary>Itself and the previous tokens in raster order, back to the token in the same column of the previous row.</summary>
    Row = 0,

    /// <summary>Itself and the tokens above it in its column.</summary>
    Column = 1,

    /// <summary>The causal half of a square window around itself, wrapping around the grid's edges in raster order.</summary>
    Convolution = 2,
}
