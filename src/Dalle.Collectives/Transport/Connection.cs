using System.IO.Hashing;
using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>One open connection between two peers of a job: a thread that reads frames, a thread that writes them, and a lease.</summary>
/// <remarks>Blocking reads and writes on threads of their own: no thread pool that is busy elsewhere delays a heartbeat, and a frame costs the fewest switches.
/// Whatever goes wrong on them ends the connection, and no more.</remarks>
internal sealed class Connection : IDisposable
{
    /// <summary>Ticks of the lease's clock without a word after which the peer is lost. A tick is a fifth of the lease, so it is noticed within the lease.</summary>
    private const int SilentTicks = 4;

    /// <summary>The longest message sent on its caller's thread.</summary>
    private const int AtOnce = 16 << 10;

    private readonly PeerChannel _channel;
    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly FrameReader _reader;
    private readonly int _chunk;
    private readonly byte[] _outgoing = new byte[FrameHeader.Size + AtOnce];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Thread? _writing;
    private PeerLostException? _lost;
    private int _silentTicks;
    private volatile bool _wrote;

    /// <param name="channel">Whose messages it carries.</param>
    /// <param name="socket">The socket, connected; owned from now on.</param>
    /// <param name="stream">What to read and write: the socket itself or TLS on it.</param>
    /// <param name="chunk">The longest payload both sides agreed on.</param>
    public Connection(PeerChannel channel, Socket socket, Stream stream, int chunk)
    {
        (_channel, _socket, _stream, _chunk) = (channel, socket, stream, chunk);
        _reader = new FrameReader(stream);
    }

    /// <summary>Whether it is of no more use.</summary>
    public bool HasEnded => Volatile.Read(ref _lost) is not null;

    /// <summary>How it ended, or null.</summary>
    public PeerLostException? Lost => Volatile.Read(ref _lost);

    /// <summary>Ends when both threads have.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Reads frames on this thread until the connection ends.</summary>
    public void Run()
    {
        _writing = new Thread(Write) { IsBackground = true, Name = $"to {_channel.Peer}" };
        _writing.Start();
        try
        {
            while (Read())
            {
            }
        }
        finally
        {
            _writing.Join();
            Dispose();
            _ended.TrySetResult();
        }
    }

    /// <summary>Ends the connection; the first call decides how. Everything under way with the peer fails at once.</summary>
    public PeerLostException Break(PeerLoss loss, Exception? cause = null)
    {
        var lost = new PeerLostException(_channel.Peer, loss, cause);
        if (Interlocked.CompareExchange(ref _lost, lost, null) is { } first)
        {
            return first;
        }

        // Wakes both threads; the socket itself is freed when they have left it.
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
        }

        _channel.OnEnded(this, lost);
        return lost;
    }

    /// <summary>A fifth of the lease has passed.</summary>
    /// <remarks>Silence is counted in ticks of this process, not read from a clock: a process that was itself stopped for a while does not take its peers for lost.</remarks>
    public void Tick()
    {
        _silentTicks = _reader.TakeHeard() || _channel.Receives.Paused ? 0 : _silentTicks + 1;
        if (_silentTicks >= SilentTicks)
        {
            Break(PeerLoss.LeaseExpired);
        }
        else if (!_wrote)
        {
            _channel.Sends.Heartbeat();
        }

        _wrote = false;
    }

    /// <summary>Whether a message of this length can be written now without waiting for the peer.</summary>
    public bool TakesAtOnce(int length)
    {
        try
        {
            return length <= AtOnce && length <= _chunk && _socket.Poll(0, SelectMode.SelectWrite);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Writes a message, or a heartbeat for null, on this thread, which holds the queue's turn.</summary>
    public void WriteOrBreak(Transfer<ReadOnlyMemory<byte>>? send)
    {
        try
        {
            if (send is null)
            {
                WriteControl(FrameKind.Heartbeat);
            }
            else
            {
                WriteMessage(send);
            }
        }
        catch (Exception error)
        {
            Break(PeerLoss.Closed, error);
        }
    }

    public void Dispose()
    {
        _stream.Dispose();
        _socket.Dispose();
    }

    private void Write()
    {
        while (_channel.Sends.TakeTurn(this, out var send))
        {
            WriteOrBreak(send);
            _channel.Sends.EndTurn();
        }

        if (HasEnded)
        {
            return;
        }

        try
        {
            WriteControl(FrameKind.Leave);
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error)
        {
            Break(PeerLoss.Closed, error);
        }
    }

    private void WriteControl(FrameKind kind)
    {
        new FrameHeader(kind, _channel.Job, default, 0, 0, 0).Write(_outgoing);
        _stream.Write(_outgoing, 0, FrameHeader.Size);
        _channel.CountSent(FrameHeader.Size);
    }

    // A message that was given up ends after the chunk that is under way.
    private void WriteMessage(Transfer<ReadOnlyMemory<byte>> send)
    {
        var rest = send.Bytes.Span;
        for (var sequence = 0; rest.Length > 0 && !send.Ended; sequence++)
        {
            var payload = rest[..Math.Min(_chunk, rest.Length)];
            new FrameHeader(FrameKind.Chunk, _channel.Job, send.Key, sequence, payload.Length, XxHash3.HashToUInt64(payload)).Write(_outgoing);
            // A header on its own would wake the reader twice: the first bytes of the payload go out with it.
            var beside = Math.Min(payload.Length, AtOnce);
            payload[..beside].CopyTo(_outgoing.AsSpan(FrameHeader.Size));
            _stream.Write(_outgoing, 0, FrameHeader.Size + beside);
            if (beside < payload.Length)
            {
                _stream.Write(payload[beside..]);
            }

            _wrote = true;
            rest = rest[payload.Length..];
            _channel.CountSent(FrameHeader.Size + payload.Length);
        }
    }

    private bool Read()
    {
        try
        {
            return _reader.TryReadHeader(_chunk, out var header) ? Accept(header) : End(PeerLoss.Closed, null);
        }
        catch (Exception error)
        {
            return End(error is TransportException ? PeerLoss.Violation : PeerLoss.Closed, error);
        }
    }

    private bool Accept(in FrameHeader header)
    {
        if (header.Job != _channel.Job)
        {
            throw new TransportException($"Expected a frame of job {_channel.Job:X16}, got one of job {header.Job:X16}.");
        }

        _channel.CountReceived(FrameHeader.Size);
        return header.Kind switch
        {
            FrameKind.Leave => End(PeerLoss.Left, null),
            FrameKind.Chunk => Land(_channel.Receives.Begin(header, _chunk, this)),
            _ => true,
        };
    }

    private bool Land(in Landing landing)
    {
        try
        {
            _reader.ReadPayload(landing);
        }
        catch (Exception error)
        {
            _channel.Receives.Fail(landing, Break(error is TransportException ? PeerLoss.Violation : PeerLoss.Closed, error));
            return false;
        }

        _channel.CountReceived(landing.Header.Length);
        _channel.Receives.End(landing);
        return true;
    }

    private bool End(PeerLoss loss, Exception? cause)
    {
        Break(loss, cause);
        return false;
    }
}
