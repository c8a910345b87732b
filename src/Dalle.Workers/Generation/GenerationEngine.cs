using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Generation;

/// <summary>
/// Draws what is asked of this silo. Requests wait in a bounded queue; those for the same model are taken together and sampled as one batch, in short
/// turns on the device's thread, so that training on the same device goes on between them.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class GenerationEngine : IAsyncDisposable, IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<GenerationTicket> _waiting = [];
    private readonly SemaphoreSlim _arrivals = new(0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly GeneratorOptions _options;
    private readonly DeviceThread _device;
    private readonly ModelCache _models;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly Task _work;
    private TimeSpan _lastBatch = TimeSpan.FromSeconds(1);

    public GenerationEngine(ArtifactStore store, DeviceThread device, IOptions<GeneratorOptions> options, TimeProvider clock, ILogger<GenerationEngine> logger)
    {
        (_options, _device, _clock, _logger) = (options.Value, device, clock, logger);
        _models = new ModelCache(store, device, _options.LoadedModels);
        _work = Task.Run(Work);
    }

    /// <summary>Queues a request.</summary>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    public GenerationTicket Enter(SampleRequest request)
    {
        var ticket = new GenerationTicket(request);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            _waiting.RemoveAll(other => other.Left);
            if (_waiting.Count >= _options.MaxWaiting)
            {
                throw new OverloadedException($"{_waiting.Count} requests are waiting, as many as this generator takes.", RetryAfter());
            }

            _waiting.Add(ticket);
        }

        _arrivals.Release();
        return ticket;
    }

    /// <summary>Gives up what is waiting and being drawn, and frees the models.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _work;
        _arrivals.Dispose();
        _stopping.Dispose();
    }

    /// <summary>For hosts that are disposed of synchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private async Task Work()
    {
        try
        {
            while (true)
            {
                await _arrivals.WaitAsync(_stopping.Token);
                if (Take() is { Count: > 0 } tickets)
                {
                    await Draw(tickets);
                }
            }
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
            {
                _waiting.ForEach(ticket => ticket.Close(new SiloUnavailableException("This silo is stopping.")));
                _waiting.Clear();
            }
        }

        await _models.Clear();
    }

    /// <summary>The request that has waited for longest, and as many for the same model as fit into a batch beside it.</summary>
    private List<GenerationTicket> Take()
    {
        lock (_gate)
        {
            _waiting.RemoveAll(ticket => ticket.Left);
            var taken = new List<GenerationTicket>();
            var room = _options.MaxBatch;
            var key = _waiting.Count > 0 ? ModelCache.Key(_waiting[0].Request.Model) : null;
            foreach (var ticket in _waiting.Where(ticket => ModelCache.Key(ticket.Request.Model) == key))
            {
                if (ticket.Candidates > room)
                {
                    break;
                }

                room -= ticket.Candidates;
                taken.Add(ticket);
            }

            _waiting.RemoveAll(taken.Contains);
            return taken;
        }
    }

    private async Task Draw(List<GenerationTicket> tickets)
    {
        var begun = _clock.GetTimestamp();
        try
        {
            var model = await _models.Get(tickets[0].Request.Model);
            var entered = tickets.Select(ticket => (Ticket: ticket, Prompt: TryEncode(model, ticket))).Where(entry => entry.Prompt is not null).ToList();
            var batch = await _device.Run(_ => new GenerationBatch(model, entered!, _clock), _stopping.Token);
            try
            {
                await Run(model, batch);
            }
            finally
            {
                await _device.Run(_ => batch.Dispose());
            }

            _lastBatch = _clock.GetElapsedTime(begun);
            LogDrawn(_logger, tickets.Count, model.Name, _lastBatch);
            tickets.ForEach(ticket => ticket.Close());
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            tickets.ForEach(ticket => ticket.Close(new SiloUnavailableException("This silo is stopping.")));
        }
        catch (GenerationFailedException error)
        {
            tickets.ForEach(ticket => ticket.Close(error));
        }
        catch (Exception error)
        {
            LogFailed(_logger, error, tickets[0].Request.Model.Name);
            tickets.ForEach(ticket => ticket.Close(new GenerationFailedException($"The generator failed: {error.Message}")));
        }
    }

    private async Task Run(LoadedModel model, GenerationBatch batch)
    {
        while (await _device.Run(_ => batch.Advance(_options.TurnLength), _stopping.Token) is { } due)
        {
            await Decode(model, due);
        }

        await Decode(model, await _device.Run(_ => batch.Pictures(), _stopping.Token));
    }

    private async Task Decode(LoadedModel model, IReadOnlyList<PendingPicture> pictures)
    {
        foreach (var (ticket, candidate, index, tokens) in pictures)
        {
            if (!ticket.Left)
            {
                var png = PngEncoder.Encode(await _device.Run(_ => model.Decode(tokens), _stopping.Token));
                ticket.Report(index is { } partial ? new PartialDecoded(candidate, partial, png) : new PictureDecoded(candidate, png));
            }
        }
    }

    /// <summary>The prompt's text tokens; null, and the ticket closed, if it has too many.</summary>
    private static IReadOnlyList<int>? TryEncode(LoadedModel model, GenerationTicket ticket)
    {
        try
        {
            var prompt = model.Encode(ticket.Request.Request.Prompt);
            ticket.Report(new SamplingStarted(prompt.Count));
            return prompt;
        }
        catch (InvalidRequestException error)
        {
            ticket.Close(error);
            return null;
        }
    }

    private TimeSpan RetryAfter()
    {
        var batches = Math.Ceiling((double)_waiting.Sum(ticket => ticket.Candidates) / _options.MaxBatch);
        return TimeSpan.FromSeconds(Math.Ceiling(batches * _lastBatch.TotalSeconds));
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Drew {Requests} requests with model {Model} in {Took}")]
    private static partial void LogDrawn(ILogger logger, int requests, string model, TimeSpan took);

    [LoggerMessage(Level = LogLevel.Error, Message = "Drawing with model {Model} failed")]
    private static partial void LogFailed(ILogger logger, Exception error, string model);
}
