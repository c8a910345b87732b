using System.Buffers;
using System.Runtime.InteropServices;
using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Collectives.Groups;

/// <summary>How numbers are stored.</summary>
public enum ElementFormat
{
    /// <summary>32-bit floats.</summary>
    Float32 = 0,

    /// <summary>The upper halves of 32-bit floats; sums of them are made in 32 bit and rounded once, to nearest, ties to even.</summary>
    BFloat16 = 1,
}

/// <summary>Numbers that take part in a collective, in place: memory that must stay alive and unmoved until the operation has ended.</summary>
/// <param name="Bytes">The memory.</param>
/// <param name="Format">How the numbers are stored.</param>
public readonly record struct Elements(Memory<byte> Bytes, ElementFormat Format)
{
    /// <summary>How many numbers.</summary>
    public int Count => Bytes.Length / Size;

    /// <summary>Bytes of one number.</summary>
    internal int Size => Format == ElementFormat.Float32 ? sizeof(float) : sizeof(ushort);

    /// <summary>32-bit floats.</summary>
    public static Elements OfFloat32(Memory<float> values) => new(new ReinterpretedMemory<float>(values).Memory, ElementFormat.Float32);

    /// <summary>bfloat16 numbers by their bits.</summary>
    public static Elements OfBFloat16(Memory<ushort> bits) => new(new ReinterpretedMemory<ushort>(bits).Memory, ElementFormat.BFloat16);

    /// <summary>Words that are sent and gathered as they are, two elements each: to be added up they are not.</summary>
    public static Elements OfWords(Memory<ulong> words) => new(new ReinterpretedMemory<ulong>(words).Memory, ElementFormat.Float32);

    /// <summary>Some bytes of a flat tensor on the CPU, which must not be disposed of before the operation has ended.</summary>
    internal static Memory<byte> BytesOf(Tensor bytes_N, long start, long length) => new TensorElements(bytes_N.narrow(0, start, length).DetachFromDisposeScope()).Memory;

    /// <summary>All elements of a tensor of 16 or 32 bits each, to be sent and gathered as they are: to be added up they are not.</summary>
    /// <param name="tensor">Any shape; contiguous, on the CPU, less than 2 GiB. Not to be disposed of before the operation has ended.</param>
    /// <exception cref="ArgumentException">It is another tensor.</exception>
    internal static Elements OfBits(Tensor tensor) => Of(tensor, ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16);

    /// <summary>All elements of a tensor, which must not be disposed of before the operation has ended.</summary>
    /// <param name="tensor">Any shape; float32 or bfloat16, contiguous, on the CPU, less than 2 GiB.</param>
    /// <exception cref="ArgumentException">It is another tensor.</exception>
    public static Elements Of(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return Of(tensor, ScalarType.Float32, ScalarType.BFloat16);
    }

    /// <summary>Whether these are the very same numbers in memory, not only equal ones.</summary>
    internal bool IsSameMemory(Elements other) => Bytes.Span == other.Bytes.Span;

    /// <summary>Some of them.</summary>
    /// <param name="start">The first, counted in numbers.</param>
    /// <param name="count">How many.</param>
    public Elements Slice(int start, int count) => this with { Bytes = Bytes.Slice(start * Size, count * Size) };

    private static Elements Of(Tensor tensor, params ReadOnlySpan<ScalarType> types)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous() || !types.Contains(tensor.dtype) || tensor.NumberOfElements * tensor.ElementSize > int.MaxValue)
        {
            throw new ArgumentException(
                $"Expected a contiguous {string.Join(" or ", types.ToArray())} tensor below 2 GiB on the CPU, got {tensor.dtype} [{string.Join(", ", tensor.shape)}] on {tensor.device}.", nameof(tensor));
        }

        return new(new TensorElements(tensor).Memory, tensor.dtype == ScalarType.Float32 ? ElementFormat.Float32 : ElementFormat.BFloat16);
    }

    private sealed class ReinterpretedMemory<T>(Memory<T> values) : MemoryManager<byte>
        where T : unmanaged
    {
        public override Memory<byte> Memory => CreateMemory(GetSpan().Length);

        public override Span<byte> GetSpan() => MemoryMarshal.AsBytes(values.Span);

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }

    private sealed unsafe class TensorElements(Tensor tensor) : MemoryManager<byte>
    {
        // The tensor is kept with its address: the garbage collector must not free it in between.
        private readonly Tensor _tensor = tensor;
        private readonly byte* _first = TensorMemory.Pointer<byte>(tensor);
        private readonly int _length = (int)(tensor.NumberOfElements * tensor.ElementSize);

        public override Memory<byte> Memory => CreateMemory(_length);

        public override Span<byte> GetSpan()
        {
            ObjectDisposedException.ThrowIf(_tensor.IsInvalid, _tensor);
            return new(_first, _length);
        }

        public override MemoryHandle Pin(int elementIndex = 0) => new(_first + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
