using Dalle.Contracts;

namespace Dalle.Workers.Generation;

/// <summary>
/// Requests that wait for slots. Callers take turns by what they hold: the next slot goes to the caller with the fewest, and among a caller's requests to the
/// one that came first. A request enters picture by picture, so a large one neither waits for many slots at once nor keeps the others out.
/// </summary>
/// <param name="capacity">Requests that may wait; further ones are refused.</param>
/// <remarks>Thread-safe.</remarks>
internal sealed class GenerationQueue(int capacity)
{
    private readonly Lock _gate = new();
    private readonly List<Waiting> _waiting = [];
    private readonly Dictionary<string, int> _held = [];

    /// <summary>Requests with pictures that have not begun.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                RemoveLeft();
                return _waiting.Count;
            }
        }
    }

    /// <summary>When to try again while the queue is full: once all that waits has been drawn. Null while there is room.</summary>
    /// <param name="timeOf">How long a number of pictures may take.</param>
    public TimeSpan? RetryAfter(Func<int, TimeSpan> timeOf)
    {
        lock (_gate)
        {
            RemoveLeft();
            return _waiting.Count < capacity ? null : timeOf(_waiting.Sum(waiting => waiting.Ticket.Candidates - waiting.Begun));
        }
    }

    /// <summary>Queues a request.</summary>
    /// <param name="ticket">The request.</param>
    /// <param name="timeOf">How long a number of pictures may take: tells one that is refused when to try again.</param>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    public void Enter(GenerationTicket ticket, Func<int, TimeSpan> timeOf)
    {
        lock (_gate)
        {
            if (RetryAfter(timeOf) is { } retryAfter)
            {
                throw new OverloadedException($"{_waiting.Count} requests are waiting, as many as this generator takes.", retryAfter);
            }

            _waiting.Add(new(ticket));
        }
    }

    /// <summary>The requests that wait, the first first.</summary>
    public IReadOnlyList<GenerationTicket> List()
    {
        lock (_gate)
        {
            RemoveLeft();
            return [.. _waiting.Select(waiting => waiting.Ticket)];
        }
    }

    /// <summary>The next picture of a model whose turn it is.</summary>
    /// <param name="modelKey">The model.</param>
    /// <param name="slots">Slots that each picture of a request takes.</param>
    /// <param name="free">Slots that are free.</param>
    /// <returns>Null when none waits, or when the one whose turn it is needs more slots.</returns>
    public (GenerationTicket Ticket, int Candidate)? Take(string modelKey, Func<GenerationTicket, int> slots, int free)
    {
        lock (_gate)
        {
            RemoveLeft();
            var next = _waiting.Where(waiting => waiting.Ticket.ModelKey == modelKey).MinBy(waiting => _held.GetValueOrDefault(waiting.Ticket.Caller));
            if (next is null || slots(next.Ticket) is var needed && needed > free)
            {
                return null;
            }

            _held[next.Ticket.Caller] = _held.GetValueOrDefault(next.Ticket.Caller) + needed;
            var candidate = next.Begun++;
            if (next.Begun == next.Ticket.Candidates)
            {
                _waiting.Remove(next);
            }

            return (next.Ticket, candidate);
        }
    }

    /// <summary>Slots that a picture had are free again.</summary>
    public void Return(GenerationTicket ticket, int slots)
    {
        lock (_gate)
        {
            var left = _held[ticket.Caller] - slots;
            if (left == 0)
            {
                _held.Remove(ticket.Caller);
            }
            else
            {
                _held[ticket.Caller] = left;
            }
        }
    }

    /// <summary>Takes requests out, those that have begun too.</summary>
    public void Remove(Func<GenerationTicket, bool> which)
    {
        lock (_gate)
        {
            _waiting.RemoveAll(waiting => which(waiting.Ticket));
        }
    }

    private void RemoveLeft() => _waiting.RemoveAll(waiting => waiting.Ticket.Left);

    private sealed class Waiting(GenerationTicket ticket)
    {
        public GenerationTicket Ticket => ticket;

        /// <summary>Pictures that have a slot or had one.</summary>
        public int Begun { get; set; }
    }
}
