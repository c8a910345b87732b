using System.IO.Hashing;

namespace Dalle.Collectives.Transport;

/// <summary>Reads frames off a stream: headers through a small buffer, so that a small frame is one read, and payloads straight to where they belong.</summary>
internal sealed class FrameReader(Stream stream)
{
    private readonly byte[] _buffer = new byte[20 << 10];
    private int _start;
    private int _count;
    private volatile bool _heard;

    /// <summary>Whether anything came since the last call.</summary>
    public bool TakeHeard()
    {
        var heard = _heard;
        _heard = false;
        return heard;
    }

    /// <summary>Waits for a frame. False at the orderly end of the connection.</summary>
    /// <exception cref="TransportException">The header is damaged.</exception>
    /// <exception cref="IOException">The connection broke off within it.</exception>
    public bool TryReadHeader(int longest, out FrameHeader header)
    {
        if (_count == 0)
        {
            _start = 0;
        }
        else if (_start + FrameHeader.Size > _buffer.Length)
        {
            _buffer.AsSpan(_start, _count).CopyTo(_buffer);
            _start = 0;
        }

        while (_count < FrameHeader.Size)
        {
            var read = ReadSome(_buffer.AsSpan(_start + _count));
            if (read == 0)
            {
                header = default;
                return _count == 0 ? false : throw new EndOfStreamException($"Expected {FrameHeader.Size} bytes of header, got {_count} and the end of the connection.");
            }

            _count += read;
        }

        header = FrameHeader.Read(_buffer.AsSpan(_start, FrameHeader.Size), longest);
        Skip(FrameHeader.Size);
        return true;
    }

    /// <summary>Reads a frame's payload to its place and checks it, or drops it.</summary>
    /// <exception cref="TransportException">The checksum is wrong.</exception>
    /// <exception cref="IOException">The connection broke off within it.</exception>
    public void ReadPayload(in Landing landing)
    {
        var target = landing.Target.Span;
        if (target.IsEmpty)
        {
            DropPayload(landing.Header.Length);
            return;
        }

        var buffered = Math.Min(_count, target.Length);
        _buffer.AsSpan(_start, buffered).CopyTo(target);
        Skip(buffered);
        for (var filled = buffered; filled < target.Length;)
        {
            filled += ReadOrThrow(target[filled..]);
        }

        var checksum = XxHash3.HashToUInt64(target);
        if (checksum != landing.Header.Checksum)
        {
            throw new TransportException($"Expected a payload with the checksum {landing.Header.Checksum:X16} for {landing.Header.Key}, got {checksum:X16}.");
        }
    }

    private void DropPayload(int length)
    {
        while (true)
        {
            var dropped = Math.Min(_count, length);
            Skip(dropped);
            length -= dropped;
            if (length == 0)
            {
                return;
            }

            (_start, _count) = (0, ReadOrThrow(_buffer));
        }
    }

    private int ReadOrThrow(Span<byte> target) => ReadSome(target) is > 0 and var read
        ? read
        : throw new EndOfStreamException("Expected the rest of a payload, got the end of the connection.");

    private int ReadSome(Span<byte> target)
    {
        var read = stream.Read(target);
        _heard |= read > 0;
        return read;
    }

    private void Skip(int bytes)
    {
        _start += bytes;
        _count -= bytes;
    }
}
