using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>One tensor of a safetensors file: its name, element type, shape, and bytes within the data that follows the header.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Dimensions; empty for a scalar.</param>
/// <param name="Begin">Offset of the first byte.</param>
/// <param name="End">Offset after the last byte.</param>
public sealed record SafetensorsEntry(string Name, ScalarType Type, IReadOnlyList<long> Shape, long Begin, long End)
{
    /// <summary>Bytes of the tensor.</summary>
    public long Length => End - Begin;
}

/// <summary>The format's names of element types.</summary>
internal static class SafetensorsType
{
    private static readonly (string Name, ScalarType Type, int Size)[] All =
    [
        ("F64", ScalarType.Float64, 8), ("I64", ScalarType.Int64, 8),
        ("F32", ScalarType.Float32, 4), ("I32", ScalarType.Int32, 4),
        ("F16", ScalarType.Float16, 2), ("BF16", ScalarType.BFloat16, 2), ("I16", ScalarType.Int16, 2),
        ("U8", ScalarType.Byte, 1), ("I8", ScalarType.Int8, 1), ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>The names that can be read, for messages.</summary>
    public static string Known { get; } = string.Join(", ", All.Select(t => t.Name));

    /// <exception cref="NotSupportedException">The format, or this reader, has no such type.</exception>
    public static string Name(ScalarType type) => Array.Find(All, t => t.Type == type).Name
        ?? throw new NotSupportedException($"Safetensors files hold {Known}, not {type}: convert the tensor first.");

    public static ScalarType? Parse(string? name) => Array.Find(All, t => t.Name == name) is { Name: not null } found ? found.Type : null;

    /// <summary>Bytes of one element.</summary>
    public static int Size(ScalarType type) => Array.Find(All, t => t.Type == type).Size;
}
