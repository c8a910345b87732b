using Dalle.Collectives.Groups;
using Dalle.Model.Kernels;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Collectives.Updates;

/// <summary>
/// A trainer's state by ordinal: what a snapshot keeps, what goes to another process when workers are placed anew. A piece has everything of an ordinal that all replicas have alike, rows of
/// masters, averages and moments, and with it what has no rows (schedules, gradient scales); every process packs it to the same bytes.
/// </summary>
/// <remarks>Used only on its device's thread.</remarks>
public sealed class StatePieces
{
    private readonly HeldRows _rows;
    private readonly IShardedTrainer _trainer;

    /// <param name="rows">The rows that the trainer holds.</param>
    /// <param name="trainer">Whose state it is; the caller keeps and disposes it.</param>
    public StatePieces(HeldRows rows, IShardedTrainer trainer) => (_rows, _trainer) = (rows, trainer);

    /// <summary>Bytes of an ordinal's piece.</summary>
    public long Size(int ordinal)
    {
        using var scope = NewDisposeScope();
        return Parts(ordinal).Sum(part => part.Tensor.numel() * part.Tensor.ElementSize);
    }

    /// <summary>The parts of an ordinal that is here, by their names in the trainer's state: slices of arrays, and whole what has no rows. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor, bool HasRows)> Parts(int ordinal)
    {
        foreach (var (name, tensor) in _trainer.NamedState())
        {
            if (ArrayOf(name) is not { } array)
            {
                yield return (name, tensor, false);
                continue;
            }

            var slice = _rows.Plan.Shards[ordinal].Slices[array];
            yield return (name, tensor.narrow(0, slice.FirstRow - _rows.Ranges[slice.Name].First, slice.Rows), true);
        }
    }

    /// <summary>The first row of an array's slice, by the name of a part; null of what has no rows.</summary>
    public long? FirstRow(string name, int ordinal) => ArrayOf(name) is { } array ? _rows.Plan.Shards[ordinal].Slices[array].FirstRow : null;

    /// <summary>Copies an ordinal's piece into memory.</summary>
    /// <param name="ordinal">One that is here.</param>
    /// <param name="piece">As long as <see cref="Size"/> says.</param>
    public void Save(int ordinal, StateBuffer piece) => Each(ordinal, piece, static (tensor, bytes, offset) => bytes.Write(offset, tensor));

    /// <summary>Copies an ordinal's piece back into the trainer, which is to be told when all are there.</summary>
    /// <param name="ordinal">One that is here.</param>
    /// <param name="piece">What <see cref="Save"/> has made of it, here or elsewhere.</param>
    public void Load(int ordinal, StateBuffer piece) => Each(ordinal, piece, static (tensor, bytes, offset) => bytes.Read(offset, tensor));

    private void Each(int ordinal, StateBuffer piece, Action<Tensor, StateBuffer, long> copy)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        long offset = 0;
        foreach (var (_, tensor, _) in Parts(ordinal))
        {
            copy(tensor, piece, offset);
            offset += tensor.numel() * tensor.ElementSize;
        }

        if (offset != piece.Length)
        {
            throw new ArgumentException($"Expected {offset} bytes of ordinal {ordinal}, got {piece.Length}.", nameof(piece));
        }
    }

    // The array that a part of the state belongs to: parts are named by arrays, behind a prefix.
    private int? ArrayOf(string name)
    {
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
        {
            if (_rows.Find(name[(dot + 1)..]) is { } array)
            {
                return array;
            }
        }

        return null;
    }
}

/// <summary>Bytes of a piece of state, on the CPU, outside of the garbage collector's reach; sent and received in place.</summary>
public sealed class StateBuffer : IDisposable
{
    // Messages and spans end at 2 GiB.
    private const long PartBytes = 1L << 30;

    private readonly Tensor _bytes_N;

    /// <param name="length">How many.</param>
    public StateBuffer(long length) => (Length, _bytes_N) = (length, empty(Math.Max(1, length), ScalarType.Byte).DetachFromDisposeScope());

    /// <summary>A tensor's bytes, copied.</summary>
    public static StateBuffer Of(Tensor tensor)
    {
        var buffer = new StateBuffer(tensor.numel() * tensor.ElementSize);
        buffer.Write(0, tensor);
        return buffer;
    }

    /// <summary>How many bytes.</summary>
    public long Length { get; }

    /// <summary>The bytes as float32 <c>[n]</c>, copied. The caller disposes it.</summary>
    public Tensor ToTensor()
    {
        var tensor = empty(Length / sizeof(float));
        Read(0, tensor);
        return tensor;
    }

    /// <summary>The bytes in parts that can each be a message.</summary>
    public IReadOnlyList<Memory<byte>> Parts =>
        [.. Enumerable.Range(0, (int)((Length + PartBytes - 1) / PartBytes)).Select(part => Elements.BytesOf(_bytes_N, part * PartBytes, Math.Min(PartBytes, Length - (part * PartBytes))))];

    /// <summary>Copies a tensor in.</summary>
    /// <param name="offset">Where to.</param>
    /// <param name="tensor">Contiguous.</param>
    public unsafe void Write(long offset, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var size = tensor.numel() * tensor.ElementSize;
        Buffer.MemoryCopy(TensorMemory.Pointer<byte>(tensor.cpu()), TensorMemory.Pointer<byte>(_bytes_N) + offset, Length - offset, size);
    }

    /// <summary>Copies bytes out.</summary>
    /// <param name="offset">Where from.</param>
    /// <param name="tensor">Contiguous; it keeps its memory.</param>
    public unsafe void Read(long offset, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var size = tensor.numel() * tensor.ElementSize;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Length - offset);
        var target = tensor.device_type == TorchSharp.DeviceType.CPU ? tensor : empty_like(tensor, device: CPU);
        Buffer.MemoryCopy(TensorMemory.Pointer<byte>(_bytes_N) + offset, TensorMemory.Pointer<byte>(target), size, size);
        if (target.Handle != tensor.Handle)
        {
            tensor.copy_(target);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _bytes_N.Dispose();
}
