using Dalle.Contracts.Generation;
using Dalle.Model.Sampling;

namespace Dalle.Workers.Generation;

/// <summary>A picture that is to be decoded for a ticket.</summary>
/// <param name="Ticket">Who gets it.</param>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Index">Which partial picture; null for the whole one.</param>
/// <param name="Tokens">Its image tokens so far.</param>
internal sealed record PendingPicture(GenerationTicket Ticket, int Candidate, int? Index, IReadOnlyList<int> Tokens);

/// <summary>Requests that are sampled together, token by token.</summary>
/// <remarks>Used on the device's thread.</remarks>
internal sealed class GenerationBatch : IDisposable
{
    private readonly LoadedModel _model;
    private readonly List<(GenerationTicket Ticket, int First)> _sampled = [];
    private readonly IReadOnlyList<GenerationTicket> _tickets;
    private readonly SamplingRun? _run;
    private readonly TimeProvider _clock;

    /// <summary>Reads the prompts into the key-value cache.</summary>
    /// <param name="model">Samples and decodes.</param>
    /// <param name="tickets">The requests with their prompts' text tokens.</param>
    /// <param name="clock">Measures turns.</param>
    public GenerationBatch(LoadedModel model, IReadOnlyList<(GenerationTicket Ticket, IReadOnlyList<int> Prompt)> tickets, TimeProvider clock)
    {
        (_model, _clock, _tickets) = (model, clock, [.. tickets.Select(entry => entry.Ticket)]);
        var sequences = new List<SequenceRequest>();
        foreach (var (ticket, prompt) in tickets.Where(entry => !entry.Ticket.IsSampled))
        {
            _sampled.Add((ticket, sequences.Count));
            sequences.AddRange(Sequences(ticket.Request, prompt));
        }

        _run = sequences.Count > 0 ? model.Sampler.Start(sequences) : null;
    }

    /// <summary>Samples until a row is whole or the turn is over.</summary>
    /// <returns>Partial pictures that are due; null when there is nothing left to sample.</returns>
    public IReadOnlyList<PendingPicture>? Advance(TimeSpan turn)
    {
        var begun = _clock.GetTimestamp();
        do
        {
            foreach (var (ticket, first) in _sampled.Where(entry => entry.Ticket.Left))
            {
                for (var candidate = 0; candidate < ticket.Candidates; candidate++)
                {
                    _run!.Drop(first + candidate);
                }
            }

            if (_run?.Step() is not true)
            {
                return null;
            }

            if (_run.Position % _model.GridSize == 0)
            {
                return FinishRow((_run.Position / _model.GridSize) - 1);
            }
        }
        while (_clock.GetElapsedTime(begun) < turn);
        return [];
    }

    /// <summary>The whole pictures, once all is sampled.</summary>
    public IReadOnlyList<PendingPicture> Pictures() =>
    [
        .. _tickets.Where(ticket => !ticket.Left).SelectMany(ticket => Enumerable.Range(0, ticket.Candidates)
            .Select(candidate => new PendingPicture(ticket, candidate, null, Tokens(ticket, candidate)))),
    ];

    /// <inheritdoc/>
    public void Dispose() => _run?.Dispose();

    private static SamplingSettings Settings(GenerationRequest request, SamplingSettings model) => new(
        request.Temperature ?? model.Temperature, request.TopK ?? model.TopK, request.TopP ?? model.TopP, request.Guidance ?? model.Guidance);

    private IEnumerable<SequenceRequest> Sequences(SampleRequest sample, IReadOnlyList<int> prompt)
    {
        var settings = Settings(sample.Request, _model.Config.Sampling);
        return sample.Tokens.Select((known, candidate) => new SequenceRequest(prompt, sample.Request.Seed, candidate, settings) { GivenTokens = known });
    }

    private List<PendingPicture> FinishRow(int row)
    {
        var due = new List<PendingPicture>();
        foreach (var (ticket, first) in _sampled.Where(entry => !entry.Ticket.Left && row >= entry.Ticket.KnownRows))
        {
            var candidates = Enumerable.Range(0, ticket.Candidates);
            ticket.Report(new RowsSampled(candidates.Select(candidate => _run!.Tokens(first + candidate)[^_model.GridSize..].ToArray()).ToArray()));
            if (ticket.Request.Request.PartialRows(_model.GridSize).ToList().IndexOf(row) is >= 0 and var index)
            {
                due.AddRange(candidates.Select(candidate => new PendingPicture(ticket, candidate, index, _run!.Tokens(first + candidate).ToArray())));
            }
        }

        return due;
    }

    private IReadOnlyList<int> Tokens(GenerationTicket ticket, int candidate) => ticket.IsSampled
        ? ticket.Request.Tokens[candidate]
        : _run!.Tokens(_sampled.First(entry => entry.Ticket == ticket).First + candidate).ToArray();
}
