using System.Diagnostics.CodeAnalysis;
using TorchSharp;

namespace Dalle.Model.Native;

/// <summary>
/// Numbers given to libtorch, alive for as long as it reads them. TorchSharp's own conversions leave a number to the finalizer thread, which may free it
/// while the native call it was made for still runs: the operation then fails, or computes with another number.
/// </summary>
public static class HeldScalars
{
    /// <summary>More than any one operation takes.</summary>
    private const int Held = 16;

    [ThreadStatic]
    private static Scalar?[]? _recent;

    [ThreadStatic]
    private static int _next;

    /// <summary>The number 1, the factor of a plain sum.</summary>
    public static Scalar One { get; } = Create(1L);

    /// <summary>A number for the operation that is called next on this thread; not to be stored.</summary>
    public static Scalar Number(double value) => Hold(Create(value));

    /// <inheritdoc cref="Number(double)"/>
    public static Scalar Number(long value) => Hold(Create(value));

    private static Scalar Hold(Scalar scalar)
    {
        var recent = _recent ??= new Scalar?[Held];
        var place = _next++ % Held;
        recent[place]?.Dispose();
        recent[place] = scalar;
        return scalar;
    }

    [SuppressMessage("ApiDesign", "RS0030", Justification = "Made here, and held.")]
    private static Scalar Create(double value) => value;

    [SuppressMessage("ApiDesign", "RS0030", Justification = "Made here, and held.")]
    private static Scalar Create(long value) => value;
}
