using Dalle.Contracts.Generation;
using Dalle.Model.Sampling;

namespace Dalle.Workers.Generation;

/// <summary>A request whose pictures are being sampled: where each of them stands, and what was reported of them.</summary>
/// <remarks>Used on the device's thread.</remarks>
internal sealed class DrawnRequest
{
    /// <summary>Rows are reported no more often than this: a small model samples one every few milliseconds, and what it takes to keep and tell each of them is missed by the sampling.</summary>
    internal static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    private readonly GenerationTicket _ticket;
    private readonly TimeProvider _clock;
    private readonly SequenceRequest[] _requests;
    private readonly SampledSequence?[] _sequences;
    private readonly int[][] _whole;
    private readonly int _gridSize;
    private readonly IReadOnlyList<int> _partialRows;
    private int _partialsDue;
    private long? _reported;
    private int _sampledRows;

    /// <param name="ticket">The request.</param>
    /// <param name="prompt">Its prompt's text tokens.</param>
    /// <param name="settings">How its tokens are drawn.</param>
    /// <param name="gridSize">Height and width of the token grid.</param>
    /// <param name="pictureTokens">Image tokens of the picture to complete; null where there is none.</param>
    /// <param name="clock">Tells when rows are due.</param>
    public DrawnRequest(GenerationTicket ticket, IReadOnlyList<int> prompt, SamplingSettings settings, int gridSize, IReadOnlyList<int>? pictureTokens, TimeProvider clock)
    {
        (_ticket, _gridSize, _clock) = (ticket, gridSize, clock);
        Rows = ticket.KnownRows;
        _partialRows = ticket.Request.Request.PartialRows(gridSize);
        var seed = ticket.Request.Request.Seed;
        _requests = [.. ticket.Request.Tokens.Select((known, candidate) => new SequenceRequest(prompt, seed, candidate, settings) { GivenTokens = Given(known, candidate) })];
        _sequences = new SampledSequence?[_requests.Length];
        _whole = new int[_requests.Length][];
        for (var candidate = 0; candidate < _requests.Length && Rows == gridSize; candidate++)
        {
            _whole[candidate] = [.. ticket.Request.Tokens[candidate]];
        }

        // What was sampled already, then what is kept of the picture.
        IReadOnlyList<int> Given(IReadOnlyList<int> known, int candidate) =>
            pictureTokens is null ? known : [.. known, .. ticket.Kept!.Given(pictureTokens, seed, candidate).Skip(known.Count)];
    }

    public GenerationTicket Ticket => _ticket;

    /// <summary>Slots that each of its pictures takes.</summary>
    public int Slots => _requests[0].Slots;

    /// <summary>Rows that all its pictures have and that were reported.</summary>
    public int Rows { get; private set; }

    /// <summary>Whether a token of it has been sampled.</summary>
    public bool HasTokens { get; private set; }

    /// <summary>Whether all is sampled and reported.</summary>
    public bool IsWhole => Rows == _gridSize;

    /// <summary>Its pictures' tokens, once they are whole.</summary>
    public IReadOnlyList<int> Tokens(int candidate) => _whole[candidate];

    /// <summary>Begins a picture.</summary>
    /// <exception cref="InvalidOperationException">The sampler has no room for it.</exception>
    public void Begin(int candidate, Sampler sampler) => _sequences[candidate] =
        sampler.TryAdmit(_requests[candidate]) ?? throw new InvalidOperationException($"Expected {Slots} free slots, got {sampler.FreeSlots}.");

    /// <summary>
    /// Reports the rows that all pictures have by now, unless some were reported a moment ago and more are to come, up to one after which partial pictures are
    /// due: rows that follow are told after those. Lets go of the slots of pictures that are whole.
    /// </summary>
    /// <returns>Number of pictures that became whole, and partial pictures that are due.</returns>
    public (int Whole, IReadOnlyList<PendingPicture> Due) Observe()
    {
        var whole = 0;
        for (var candidate = 0; candidate < _sequences.Length; candidate++)
        {
            HasTokens |= Position(candidate) > 0;
            if (_sequences[candidate] is { IsWhole: true } sequence)
            {
                _whole[candidate] = sequence.Tokens.ToArray();
                sequence.Dispose();
                _sequences[candidate] = null;
                whole++;
            }
        }

        PendingPicture[] due = [];
        var sampled = Enumerable.Range(0, _sequences.Length).Min(Position) / _gridSize;
        if (sampled > _sampledRows)
        {
            _sampledRows = sampled;
            _ticket.Trace($"row {sampled}");
        }

        if (sampled <= Rows || (sampled < _gridSize && _reported is { } last && _clock.GetElapsedTime(last) < Pace))
        {
            return (whole, due);
        }

        _reported = _clock.GetTimestamp();
        while (_partialsDue == 0 && Rows < sampled)
        {
            var row = Rows++;
            _ticket.Report(new RowsSampled([.. Enumerable.Range(0, _sequences.Length).Select(candidate => Sampled(candidate).Slice(row * _gridSize, _gridSize).ToArray())]));
            due = Partials();
        }

        return (whole, due);
    }

    /// <summary>The partial pictures of rows that were known before, and that were not told: whoever drew those rows was lost first. No row is reported before them.</summary>
    public IReadOnlyList<PendingPicture> Owed()
    {
        var owed = _partialRows.Index().Where(partial => partial.Index >= _ticket.Request.PartialsTold && partial.Item < Rows)
            .SelectMany(partial => _requests.Select((_, candidate) => new PendingPicture(this, candidate, partial.Index, [.. _ticket.Request.Tokens[candidate].Take((partial.Item + 1) * _gridSize)])))
            .ToArray();
        _partialsDue = owed.Length;
        return owed;
    }

    /// <summary>A partial picture that was due has been reported.</summary>
    public void OnPartialReported() => _partialsDue--;

    /// <summary>Gives up what is not whole.</summary>
    /// <returns>Number of pictures that had slots.</returns>
    public int Leave()
    {
        var left = 0;
        foreach (var sequence in _sequences)
        {
            if (sequence is not null)
            {
                sequence.Dispose();
                left++;
            }
        }

        return left;
    }

    /// <summary>The partial pictures that are due after the last reported row.</summary>
    private PendingPicture[] Partials()
    {
        if (_partialRows.ToList().IndexOf(Rows - 1) is not (>= 0 and var index) || IsWhole)
        {
            return [];
        }

        _partialsDue = _sequences.Length;
        return [.. Enumerable.Range(0, _sequences.Length).Select(candidate => new PendingPicture(this, candidate, index, Sampled(candidate)[..(Rows * _gridSize)].ToArray()))];
    }

    private int Position(int candidate) => _whole[candidate]?.Length ?? _sequences[candidate]?.Position ?? 0;

    private ReadOnlySpan<int> Sampled(int candidate) => _whole[candidate] is { } whole ? whole : _sequences[candidate]!.Tokens;
}
