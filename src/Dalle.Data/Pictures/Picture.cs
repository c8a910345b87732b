namespace Dalle.Data.Pictures;

/// <summary>A decoded picture: 8-bit sRGB, no alpha.</summary>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Rgb">Bytes <c>[Height, Width, 3]</c>, row-major.</param>
public sealed record Picture(int Width, int Height, byte[] Rgb);
