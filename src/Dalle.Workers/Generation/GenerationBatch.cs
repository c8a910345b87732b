using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Model.Sampling;

namespace Dalle.Workers.Generation;

/// <summary>A picture that is to be decoded for a request.</summary>
/// <param name="Drawn">The request.</param>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Index">Which partial picture; null for the whole one.</param>
/// <param name="Tokens">Its image tokens so far.</param>
/// <param name="Last">Whether nothing more comes for the ticket.</param>
internal sealed record PendingPicture(DrawnRequest Drawn, int Candidate, int? Index, IReadOnlyList<int> Tokens, bool Last = false)
{
    /// <summary>Who gets it.</summary>
    public GenerationTicket Ticket => Drawn.Ticket;
}

/// <summary>What one model is at: requests that are sampled together, a token of each picture at a step. They come and go between any two steps.</summary>
/// <remarks>Used on the device's thread.</remarks>
internal sealed class GenerationBatch : IDisposable
{
    private readonly GenerationQueue _queue;
    private readonly GenerationInstruments _instruments;
    private readonly TimeProvider _clock;
    private readonly List<DrawnRequest> _drawn = [];
    private readonly Queue<PendingPicture> _pictures = new();

    /// <param name="model">Samples and decodes; disposed with the batch.</param>
    /// <param name="key">The model's key.</param>
    /// <param name="queue">Where pictures come from.</param>
    /// <param name="instruments">Told of what happens.</param>
    /// <param name="clock">Measures steps.</param>
    public GenerationBatch(LoadedModel model, string key, GenerationQueue queue, GenerationInstruments instruments, TimeProvider clock) =>
        (Model, Key, _queue, _instruments, _clock) = (model, key, queue, instruments, clock);

    public LoadedModel Model { get; }

    public string Key { get; }

    /// <summary>Whether it takes no more pictures, because another model needs its place.</summary>
    public bool Draining { get; set; }

    /// <summary>Requests being sampled.</summary>
    public int Requests => _drawn.Count;

    /// <summary>Whether pictures are being sampled or wait to be decoded.</summary>
    public bool IsBusy => _drawn.Count > 0 || Pictures > 0;

    /// <summary>Pictures that wait to be decoded.</summary>
    public int Pictures => _pictures.Count;

    /// <summary>Lets go of what was left, takes in what waits, and samples the next token of every picture.</summary>
    /// <returns>Whether there was anything to sample.</returns>
    public bool Step()
    {
        DropLeft();
        Admit();
        var sampled = Sample();
        foreach (var drawn in _drawn)
        {
            var hadTokens = drawn.HasTokens;
            var (whole, due) = drawn.Observe();
            if (drawn.HasTokens && !hadTokens)
            {
                drawn.Ticket.Trace("first token");
                _instruments.OnFirstToken(_clock.GetElapsedTime(drawn.Ticket.Entered));
            }

            for (var i = 0; i < whole; i++)
            {
                _queue.Return(drawn.Ticket, drawn.Slots);
            }

            Enqueue(due);
        }

        for (var i = _drawn.Count - 1; i >= 0; i--)
        {
            if (_drawn[i].IsWhole)
            {
                Finish(_drawn[i]);
            }
        }

        return sampled;
    }

    /// <summary>The next picture to decode; null when there is none.</summary>
    public PendingPicture? TakePicture()
    {
        while (_pictures.TryDequeue(out var picture))
        {
            if (!picture.Ticket.Left)
            {
                return picture;
            }
        }

        return null;
    }

    /// <summary>Gives up all requests.</summary>
    public void Close(Exception reason)
    {
        foreach (var ticket in _drawn.Select(drawn => drawn.Ticket).Concat(_pictures.Select(picture => picture.Ticket)))
        {
            ticket.Close(reason);
        }

        _drawn.ForEach(Leave);
        _drawn.Clear();
        _pictures.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    private void DropLeft()
    {
        for (var i = _drawn.Count - 1; i >= 0; i--)
        {
            if (_drawn[i].Ticket.Left)
            {
                Leave(_drawn[i]);
                _drawn.RemoveAt(i);
                _instruments.OnAborted();
            }
        }
    }

    private bool Sample()
    {
        var (sampler, begun) = (Model.Sampler, _clock.GetTimestamp());
        var tokens = sampler.Tokens;
        var sampled = sampler.Step();
        if (sampler.Tokens > tokens)
        {
            _instruments.OnStep(Model.Name, (int)(sampler.Tokens - tokens), _clock.GetElapsedTime(begun));
        }

        return sampled;
    }

    private void Admit()
    {
        while (!Draining && _queue.Take(Key, SlotsOf, Model.Sampler.FreeSlots) is var (ticket, candidate))
        {
            var drawn = _drawn.Find(drawn => drawn.Ticket == ticket);
            if (drawn is null)
            {
                if (TryDraw(ticket) is not { } begun)
                {
                    _queue.Remove(waiting => waiting == ticket);
                    _queue.Return(ticket, SlotsOf(ticket));
                    continue;
                }

                _drawn.Add(drawn = begun);
                Enqueue(drawn.Owed());
            }

            if (drawn.IsWhole)
            {
                // Sampled before: all that is left is to decode its pictures.
                _queue.Remove(waiting => waiting == ticket);
                _queue.Return(ticket, drawn.Slots);
                Finish(drawn);
                continue;
            }

            Begin(drawn, candidate);
        }
    }

    private void Begin(DrawnRequest drawn, int candidate)
    {
        try
        {
            var (hits, misses) = (Model.Sampler.PromptHits, Model.Sampler.PromptMisses);
            drawn.Begin(candidate, Model.Sampler);
            _instruments.OnPrompts(Model.Name, Model.Sampler.PromptHits - hits, Model.Sampler.PromptMisses - misses);
        }
        catch (ArgumentException error)
        {
            // What was kept of the picture does not fit the model: this request fails, the others know nothing of it.
            drawn.Ticket.Close(new GenerationFailedException($"The request does not fit model '{Model.Name}': {error.Message}"));
            _queue.Remove(waiting => waiting == drawn.Ticket);
            _queue.Return(drawn.Ticket, drawn.Slots);
            Leave(drawn);
            _drawn.Remove(drawn);
        }
    }

    /// <summary>Reads the prompt and the picture to complete; null, and the ticket closed, if the prompt has too many tokens.</summary>
    private DrawnRequest? TryDraw(GenerationTicket ticket)
    {
        if (!ticket.TryBegin())
        {
            return null;
        }

        try
        {
            if (ticket.Request.Request.Keep is not null && !Model.Ranks)
            {
                throw new InvalidRequestException($"Keep: model '{Model.Name}' has no reranker to choose with; train it with one, or ask for all candidates.", nameof(GenerationRequest.Keep));
            }

            var prompt = Model.Encode(ticket.Request.Request.Prompt);
            var pictureTokens = ticket.Kept is { } kept ? ticket.Request.PictureTokens ?? Model.Encode(kept.Pixels) : null;
            ticket.Trace("begun");
            _instruments.OnBegun(_clock.GetElapsedTime(ticket.Entered));
            ticket.Report(new SamplingStarted(prompt.Count, pictureTokens));
            return new(ticket, prompt, Settings(ticket), Model.GridSize, pictureTokens, _clock);
        }
        catch (InvalidRequestException error)
        {
            ticket.Close(error);
            return null;
        }
    }

    private void Finish(DrawnRequest drawn)
    {
        _drawn.Remove(drawn);
        Enqueue([.. Enumerable.Range(0, drawn.Ticket.Candidates)
            .Select(candidate => new PendingPicture(drawn, candidate, null, drawn.Tokens(candidate), Last: candidate == drawn.Ticket.Candidates - 1))]);
    }

    private void Enqueue(IReadOnlyList<PendingPicture> pictures)
    {
        foreach (var picture in pictures)
        {
            _pictures.Enqueue(picture);
        }
    }

    private void Leave(DrawnRequest drawn)
    {
        for (var left = drawn.Leave(); left > 0; left--)
        {
            _queue.Return(drawn.Ticket, drawn.Slots);
        }
    }

    private int SlotsOf(GenerationTicket ticket) => Settings(ticket).IsGuided ? 2 : 1;

    private SamplingSettings Settings(GenerationTicket ticket)
    {
        var (request, model) = (ticket.Request.Request, Model.Config.Sampling);
        return new(request.Temperature ?? model.Temperature, request.TopK ?? model.TopK, request.TopP ?? model.TopP, request.Guidance ?? model.Guidance);
    }
}
