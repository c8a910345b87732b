using System.Buffers;

namespace Dalle.Collectives.Groups;

/// <summary>Several arrays as one, for operations that change them in place.</summary>
internal static class PackedArrays
{
    /// <summary>Copies the arrays into one, runs the operation on it and, if it succeeds, copies them back.</summary>
    /// <exception cref="ArgumentException">They are not of one format.</exception>
    public static async Task Run(IReadOnlyList<Elements> arrays, Func<Elements, Task> operation)
    {
        ArgumentNullException.ThrowIfNull(arrays);
        if (arrays.Count == 0)
        {
            return;
        }

        if (arrays.Any(array => array.Format != arrays[0].Format))
        {
            throw new ArgumentException($"Expected arrays of one format, got [{string.Join(", ", arrays.Select(array => array.Format))}].", nameof(arrays));
        }

        var length = arrays.Sum(array => array.Bytes.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var start = 0;
            foreach (var array in arrays)
            {
                array.Bytes.CopyTo(buffer.AsMemory(start));
                start += array.Bytes.Length;
            }

            await operation(new Elements(buffer.AsMemory(0, length), arrays[0].Format));
            start = 0;
            foreach (var array in arrays)
            {
                buffer.AsMemory(start, array.Bytes.Length).CopyTo(array.Bytes);
                start += array.Bytes.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
