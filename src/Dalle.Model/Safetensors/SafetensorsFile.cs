using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>
/// A file of named tensors and string properties in the public safetensors format. Bytes go straight between file and tensor memory, in pieces,
/// so restoring a checkpoint into tensors that exist needs no second copy of them.
/// </summary>
/// <remarks>Not thread-safe. Tensors on other devices than the CPU pass through one piece of CPU memory.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    private const int LengthBytes = sizeof(ulong);

    /// <summary>Bytes moved at a time.</summary>
    private const int PieceBytes = 64 << 20;

    private readonly SafeFileHandle _handle;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly long _dataStart;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header, long dataStart)
    {
        (Path, _handle, _dataStart) = (path, handle, dataStart);
        (Entries, Metadata) = (header.Entries, header.Metadata);
        _entries = header.Entries.ToDictionary(e => e.Name, StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Its tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Its string properties.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its header; no tensor is read.</summary>
    /// <exception cref="SafetensorsException">The file breaks the format's rules.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static SafetensorsFile Open(string path)
    {
        var handle = File.OpenHandle(path);
        try
        {
            return Open(handle, path);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Checks the header of an open file, which belongs to the result.</summary>
    /// <inheritdoc cref="Open(string)" path="/exception"/>
    internal static SafetensorsFile Open(SafeFileHandle handle, string path)
    {
        var length = RandomAccess.GetLength(handle);
        Span<byte> prefix = stackalloc byte[LengthBytes];
        if (length < LengthBytes)
        {
            throw new SafetensorsException(path, $"expected at least {LengthBytes} bytes, got {length}; this is not a safetensors file.");
        }

        ReadExactly(handle, prefix, 0, path);
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        var most = (ulong)Math.Min(SafetensorsHeader.MaxLength, length - LengthBytes);
        if (headerLength > most)
        {
            throw new SafetensorsException(path, $"expected a header of at most {most} bytes, got {headerLength}; the file is cut off or not a safetensors file.");
        }

        var json = new byte[headerLength];
        var dataStart = LengthBytes + json.Length;
        ReadExactly(handle, json, LengthBytes, path);
        return new(path, handle, SafetensorsHeader.Parse(json, length - dataStart, path), dataStart);
    }

    /// <summary>Writes tensors and properties durably (see <see cref="DurableFile"/>). The same tensors give the same bytes, in whatever order they come.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">The tensors by their keys.</param>
    /// <param name="metadata">String properties.</param>
    /// <param name="hash">Is given the bytes of the file as they are written.</param>
    /// <returns>Bytes of the file.</returns>
    /// <exception cref="ArgumentException">A name stands twice or is too long.</exception>
    /// <exception cref="NotSupportedException">A tensor's element type is not one of the format's.</exception>
    public static long Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null, IncrementalHash? hash = null)
    {
        var byName = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, tensor) in tensors)
        {
            if (!byName.TryAdd(name, tensor))
            {
                throw new ArgumentException($"Tensor '{name}' was given twice.", nameof(tensors));
            }
        }

        var header = SafetensorsHeader.Arrange(byName.Select(p => (p.Key, p.Value.dtype, p.Value.shape)), metadata ?? new Dictionary<string, string>());
        var json = header.ToBytes();
        Span<byte> prefix = stackalloc byte[LengthBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)json.Length);
        var start = prefix.ToArray();
        long length = 0;
        DurableFile.Write(path, stream =>
        {
            Put(start);
            Put(json.Span);
            foreach (var entry in header.Entries)
            {
                var size = SafetensorsType.Size(entry.Type);
                foreach (var (offset, count) in Pieces(entry.Length / size, size))
                {
                    using var scope = NewDisposeScope();
                    Put(byName[entry.Name].detach().reshape(-1).narrow(0, offset, count).cpu().contiguous().bytes);
                }
            }

            void Put(ReadOnlySpan<byte> bytes)
            {
                stream.Write(bytes);
                hash?.AppendData(bytes);
                length += bytes.Length;
            }
        });
        return length;
    }

    /// <summary>The entry of a tensor.</summary>
    /// <exception cref="SafetensorsException">The file has no such tensor.</exception>
    public SafetensorsEntry this[string name] => _entries.TryGetValue(name, out var entry)
        ? entry
        : throw new SafetensorsException(Path, $"expected a tensor '{name}', which the file does not have.");

    /// <summary>Reads a tensor in the file's own element type, on the CPU. The caller disposes it.</summary>
    /// <exception cref="SafetensorsException">The file has no such tensor.</exception>
    public Tensor Read(string name)
    {
        var entry = this[name];
        var tensor = empty([.. entry.Shape], entry.Type, CPU);
        ReadInto(name, tensor);
        return tensor;
    }

    /// <summary>Reads a tensor into one of the same shape, converting the element type if it differs. The target keeps its memory.</summary>
    /// <param name="name">Its key in the file.</param>
    /// <param name="target">A contiguous tensor on any device.</param>
    /// <exception cref="SafetensorsException">The file has no such tensor, or one of another shape.</exception>
    public void ReadInto(string name, Tensor target)
    {
        var entry = this[name];
        var shape = target.shape;
        if (!entry.Shape.SequenceEqual(shape))
        {
            throw new SafetensorsException(Path, $"expected tensor '{name}' of shape [{string.Join(", ", shape)}], got [{string.Join(", ", entry.Shape)}].");
        }

        ReadElementsInto(entry, 0, target);
    }

    /// <summary>Reads some rows of a tensor, its first dimension, and none of the others; converts the element type if it differs. The target keeps its memory.</summary>
    /// <param name="name">Its key in the file.</param>
    /// <param name="target">A contiguous tensor on any device: as many rows as are wanted, of the same shape as the file's.</param>
    /// <param name="firstRow">The row that the target begins with, counted from 0.</param>
    /// <exception cref="SafetensorsException">The file has no such tensor or rows, or rows of another shape.</exception>
    public void ReadRowsInto(string name, Tensor target, long firstRow)
    {
        var entry = this[name];
        var shape = target.shape;
        if (shape is [] || entry.Shape is [] || !entry.Shape.Skip(1).SequenceEqual(shape.Skip(1)))
        {
            throw new SafetensorsException(Path, $"expected rows of tensor '{name}' for [{string.Join(", ", shape)}], got a tensor of [{string.Join(", ", entry.Shape)}].");
        }

        var rows = shape[0];
        if (firstRow < 0 || firstRow > entry.Shape[0] - rows)
        {
            throw new SafetensorsException(Path, $"expected {rows} rows of tensor '{name}' from row {firstRow} on, got a tensor of {entry.Shape[0]} rows.");
        }

        ReadElementsInto(entry, rows == 0 ? 0 : firstRow * (target.numel() / rows), target);
    }

    /// <summary>Reads all tensors into those of the same names. Nothing is read unless names, shapes and element types all agree.</summary>
    /// <param name="targets">Contiguous tensors.</param>
    /// <param name="convert">Whether another element type is converted instead of refused.</param>
    /// <exception cref="SafetensorsException">Tensors are missing, too many, or of another shape or element type; all of them are named.</exception>
    public void ReadAllInto(IEnumerable<(string Name, Tensor Tensor)> targets, bool convert = false)
    {
        var wanted = targets.ToDictionary(t => t.Name, t => t.Tensor, StringComparer.Ordinal);
        List<string> problems =
        [
            .. wanted.Keys.Where(name => !_entries.ContainsKey(name)).Select(name => $"'{name}' is missing"),
            .. Entries.Where(e => !wanted.ContainsKey(e.Name)).Select(e => $"'{e.Name}' is not expected"),
            .. Entries.Where(e => wanted.TryGetValue(e.Name, out var t) && !e.Shape.SequenceEqual(t.shape))
                .Select(e => $"'{e.Name}' is [{string.Join(", ", e.Shape)}] instead of [{string.Join(", ", wanted[e.Name].shape)}]"),
            .. Entries.Where(e => !convert && wanted.TryGetValue(e.Name, out var t) && t.dtype != e.Type).Select(e => $"'{e.Name}' is {e.Type} instead of {wanted[e.Name].dtype}"),
        ];
        if (problems.Count > 0)
        {
            throw SafetensorsException.OfAnotherNetwork(Path, "file", problems);
        }

        foreach (var entry in Entries)
        {
            ReadInto(entry.Name, wanted[entry.Name]);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private void ReadElementsInto(SafetensorsEntry entry, long first, Tensor target)
    {
        if (!target.is_contiguous())
        {
            throw new ArgumentException($"Tensor '{entry.Name}' can only be read into contiguous memory.", nameof(target));
        }

        using var untracked = no_grad();
        var size = SafetensorsType.Size(entry.Type);
        foreach (var (offset, count) in Pieces(target.numel(), size))
        {
            using var scope = NewDisposeScope();
            var part = target.view(-1).narrow(0, offset, count);
            var direct = target.dtype == entry.Type && target.device_type == DeviceType.CPU;
            var piece = direct ? part : empty(count, entry.Type, CPU);
            ReadExactly(_handle, piece.bytes, _dataStart + entry.Begin + ((first + offset) * size), Path);
            if (!direct)
            {
                part.copy_(piece);
            }
        }
    }

    /// <summary>Elements in runs of at most <see cref="PieceBytes"/>: a span over a whole tensor could not be longer than 2 GB.</summary>
    private static IEnumerable<(long Offset, long Count)> Pieces(long elements, int size)
    {
        for (long offset = 0; offset < elements; offset += PieceBytes / size)
        {
            yield return (offset, Math.Min(PieceBytes / size, elements - offset));
        }
    }

    private static void ReadExactly(SafeFileHandle handle, Span<byte> buffer, long offset, string path)
    {
        while (buffer.Length > 0)
        {
            var read = RandomAccess.Read(handle, buffer, offset);
            if (read == 0)
            {
                throw new SafetensorsException(path, $"expected {buffer.Length} more bytes at offset {offset}; the file was cut off while being read.");
            }

            buffer = buffer[read..];
            offset += read;
        }
    }
}
