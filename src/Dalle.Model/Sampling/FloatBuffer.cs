using System.Runtime.InteropServices;

namespace Dalle.Model.Sampling;

/// <summary>Floats outside the collected heap, on a cache line's boundary, zero at first: freed when disposed, not when the collector comes by.</summary>
internal sealed unsafe class FloatBuffer : IDisposable
{
    private const int CacheLine = 64;
    private bool _freed;

    public FloatBuffer(long length)
    {
        var bytes = checked((nuint)Math.Max(length, 1) * sizeof(float));
        Length = length;
        Pointer = (float*)NativeMemory.AlignedAlloc(bytes, CacheLine);
        NativeMemory.Clear(Pointer, bytes);
    }

    ~FloatBuffer() => Free();

    public float* Pointer { get; }

    public long Length { get; }

    public Span<float> Slice(long start, int length) => start >= 0 && start + length <= Length
        ? new(Pointer + start, length)
        : throw new ArgumentOutOfRangeException(nameof(start), start, $"Expected a part of {Length} floats.");

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (!_freed)
        {
            _freed = true;
            NativeMemory.AlignedFree(Pointer);
        }
    }
}
