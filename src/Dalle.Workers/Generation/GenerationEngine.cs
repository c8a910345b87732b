using System.Threading.Channels;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Generation;

/// <summary>
/// Draws what is asked of this silo. Pictures wait in a bounded queue, enter their model's batch at any token and leave it as soon as they are whole or given
/// up; sampling goes on in short turns on the device's thread, so that decoding, and training on the same device, go on between them.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class GenerationEngine : IAsyncDisposable, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly GenerationQueue _queue;
    private readonly GeneratorOptions _options;
    private readonly DeviceThread _device;
    private readonly ModelCache _models;
    private readonly GenerationInstruments _instruments;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly Task _work;
    private TimeSpan _perPicture = TimeSpan.FromSeconds(0.2), _busy, _decoding;

    public GenerationEngine(ArtifactStore store, DeviceThread device, IOptions<GeneratorOptions> options, GenerationInstruments instruments, TimeProvider clock, ILogger<GenerationEngine> logger)
    {
        (_options, _device, _instruments, _clock, _logger) = (options.Value, device, instruments, clock, logger);
        _queue = new(_options.MaxWaiting);
        _models = new(store, device, _queue, _options, (model, key) => new(model, key, _queue, instruments, clock), Wake);
        instruments.Watch(() => Waiting, () => Status.Running, () => Status.Slots - Status.FreeSlots, () => Status.Slots, () => Status.Loading);
        _work = Task.Run(Work);
    }

    /// <summary>What it is at, as of the last turn.</summary>
    public EngineStatus Status { get; private set; } = new(0, 0, 0, 0, []);

    /// <summary>Requests with pictures that wait for a slot.</summary>
    public int Waiting => _queue.Count;

    /// <summary>When to try again while the queue is full; null while it is not.</summary>
    public TimeSpan? RetryAfter => _queue.RetryAfter(TimeOf);

    /// <summary>Queues a request.</summary>
    /// <param name="request">What is to be drawn.</param>
    /// <param name="kept">The picture to complete, read; null where there is none.</param>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    public GenerationTicket Enter(SampleRequest request, KeptPicture? kept = null)
    {
        ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
        var ticket = new GenerationTicket(request, kept, _clock, _instruments.OnRejected);
        try
        {
            _queue.Enter(ticket, TimeOf);
        }
        catch
        {
            ticket.Dispose();
            _instruments.OnRejected();
            throw;
        }

        Wake();
        return ticket;
    }

    /// <summary>Gives up what is waiting and being drawn, and frees the models.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _work;
        _stopping.Dispose();
    }

    /// <summary>For hosts that are disposed of synchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private TimeSpan TimeOf(int pictures) => pictures * _perPicture;

    private void Wake() => _news.Writer.TryWrite(true);

    private async Task Work()
    {
        try
        {
            while (true)
            {
                _news.Reader.TryRead(out _);
                await _models.Provide();
                Status = Describe();
                var requests = 0;
                foreach (var batch in _models.Batches.ToArray())
                {
                    requests += await Advance(batch);
                }

                if (requests == 0)
                {
                    await _news.Reader.ReadAsync(_stopping.Token);
                }
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Told to stop.
        }

        var reason = new SiloUnavailableException("This silo is stopping.");
        await _models.Clear(reason);
        foreach (var ticket in _queue.List())
        {
            ticket.Close(reason);
        }
    }

    /// <summary>Turns of a model, to the last of its pictures or until something else is to be done.</summary>
    /// <returns>Number of requests that it worked for.</returns>
    private async Task<int> Advance(GenerationBatch batch)
    {
        try
        {
            return await _device.Run(_ => TakeTurns(batch), _stopping.Token);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            LogFailed(_logger, error, batch.Model.Name);
            _instruments.OnFailed(batch.Requests);
            await _device.Run(_ => batch.Close(new GenerationFailedException($"The generator failed: {error.Message}")));
            await _models.Drop(batch);
            return 1;
        }
    }

    // On the device's thread, which it gives back after a turn if other work waits for it, or another model, or a request has come.
    private int TakeTurns(GenerationBatch batch)
    {
        var (worked, most) = (0, 0);
        do
        {
            worked = TakeTurn(batch);
            most = Math.Max(most, worked);
        }
        while (worked > 0 && _device.Waiting == 0 && _models.Batches.Count == 1 && !_news.Reader.TryPeek(out _) && !_stopping.IsCancellationRequested);
        return most;
    }

    /// <summary>Tokens for a while, then pictures: for as long at most, and only one while others wait for their tokens.</summary>
    /// <returns>Number of requests that it worked for.</returns>
    private int TakeTurn(GenerationBatch batch)
    {
        var begun = _clock.GetTimestamp();
        var requests = Sample(batch);
        var (sampled, whole) = (_clock.GetTimestamp(), 0);
        for (var more = true; more && Decode(batch) is var (picture, decoded, score);)
        {
            requests++;
            whole += picture.Index is null ? 1 : 0;
            Report(picture, decoded, score);
            more = batch.Requests == 0 && _clock.GetElapsedTime(sampled) < _options.TurnLength;
        }

        _decoding = _clock.GetElapsedTime(sampled);
        Note(_clock.GetElapsedTime(begun), whole);
        return requests;
    }

    // Ends early for pictures that become due, but not for those that there was no time for: sampling gets as much time as decoding had before.
    // The status is as of here, so that whoever has a picture sees its slot free.
    private int Sample(GenerationBatch batch)
    {
        var (begun, due) = (_clock.GetTimestamp(), batch.Pictures);
        var turn = _decoding > _options.TurnLength ? _decoding : _options.TurnLength;
        var (sampled, most) = (false, 0);
        do
        {
            sampled = batch.Step();
            most = Math.Max(most, batch.Requests);

            // What tells of tokens shares the cores with what samples them, and would wait for the end of a time slice.
            Thread.Yield();
        }
        while (sampled && batch.Pictures <= due && _clock.GetElapsedTime(begun) < turn);
        Status = Describe();
        return most;
    }

    private EngineStatus Describe() => new(
        _models.Batches.Sum(batch => batch.Requests), _models.Batches.Sum(batch => batch.Model.Sampler.FreeSlots),
        _models.Batches.Sum(batch => batch.Model.Sampler.Slots), _models.Loading, [.. _models.Batches.Select(batch => batch.Key)]);

    private static (PendingPicture Picture, Picture Decoded, double? Score)? Decode(GenerationBatch batch)
    {
        if (batch.TakePicture() is not { } picture)
        {
            return null;
        }

        var (decoded, request) = (batch.Model.Decode(picture.Tokens), picture.Ticket.Request.Request);
        return (picture, decoded, picture.Index is null && request.Keep is not null ? batch.Model.Score(decoded, request.Prompt) : null);
    }

    /// <summary>Reports a picture; it is written down beside what the engine does next.</summary>
    private void Report(PendingPicture picture, Picture decoded, double? score)
    {
        picture.Ticket.Report(Task.Run<GeneratorReport>(() => picture.Index is { } partial
            ? new PartialDecoded(picture.Candidate, partial, PngEncoder.Encode(decoded))
            : new PictureDecoded(picture.Candidate, PngEncoder.Encode(decoded), score)));
        picture.Ticket.Trace(picture.Index is null ? $"picture {picture.Candidate + 1}" : $"partial picture {picture.Candidate + 1}");
        if (picture.Index is not null)
        {
            picture.Drawn.OnPartialReported();
        }

        if (picture.Last)
        {
            picture.Ticket.Close();
            _instruments.OnCompleted(_clock.GetElapsedTime(picture.Ticket.Entered));
        }
    }

    /// <summary>Keeps a running mean of how long a picture takes while others are drawn beside it.</summary>
    private void Note(TimeSpan busy, int whole)
    {
        _busy += busy;
        if (whole > 0)
        {
            _perPicture += ((_busy / whole) - _perPicture) / 4;
            _busy = TimeSpan.Zero;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Drawing with model {Model} failed")]
    private static partial void LogFailed(ILogger logger, Exception error, string model);
}
