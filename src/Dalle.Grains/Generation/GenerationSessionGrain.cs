using System.Runtime.CompilerServices;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.Storage;

namespace Dalle.Grains.Generation;

/// <summary>Keeps a generation session and streams it. The rules are <see cref="GenerationSessionState"/>'s; this grain finds generators, persists and tells.</summary>
/// <remarks>Reentrant: readers, status and cancellation get in while the session is drawn. Only the drawing changes the state, and cancellation once that has ended.</remarks>
[Reentrant]
internal sealed partial class GenerationSessionGrain(
    [PersistentState("session", GenerationStorage.Name)] IPersistentState<GenerationSessionState> session,
    GeneratorDirectory generators, TimeProvider clock, ILogger<GenerationSessionGrain> logger)
    : Grain, IGenerationSessionGrain, IDisposable
{
    /// <summary>Generators lost without a row in between, before the session is declared failed.</summary>
    private const int MaxAttempts = 10;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);

    /// <summary>Time without calls after which a session leaves memory, and its pictures with it, which can be decoded again from what is stored. Longer than it is drawn unread.</summary>
    public static readonly TimeSpan IdleAge = TimeSpan.FromSeconds(15);

    /// <summary>Time a session is drawn without a reader: one that was cut off comes back within it.</summary>
    private static readonly TimeSpan ReaderAbsence = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _writing = new(1);
    private SessionEvents _events = new();
    private CancellationTokenSource _drawing = new();
    private Task? _draw;
    private IGrainTimer? _absence;

    private string SessionId => this.GetPrimaryKeyString();

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => await StopDrawing(cancellationToken);

    public async IAsyncEnumerable<GenerationEvent> Generate(
        GenerationRequest request, long after = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        request.Validate();
        session.State.RequireSame(request);
        await Begin(request, cancellationToken);
        _absence?.Dispose();
        await foreach (var item in _events.Follow(after, OnUnread, cancellationToken))
        {
            yield return item;
        }
    }

    public Task<GenerationStatus> GetStatus(CancellationToken cancellationToken = default)
    {
        RequireStarted();
        return Task.FromResult(session.State.Status());
    }

    public async Task Cancel(CancellationToken cancellationToken = default)
    {
        RequireStarted();
        if (!session.State.Over)
        {
            await StopDrawing(cancellationToken);
            await End(session.State.Cancel(), new GenerationFailedException($"Session '{SessionId}' was cancelled."));
        }
    }

    public void Dispose()
    {
        _absence?.Dispose();
        _drawing.Dispose();
        _writing.Dispose();
    }

    /// <summary>Sees to it that the session is being drawn, or has been.</summary>
    private async Task Begin(GenerationRequest request, CancellationToken cancellationToken)
    {
        if (session.State.Request is null)
        {
            var model = await GrainFactory.GetGrain<IModelCatalogGrain>(0).Get(request.Model, cancellationToken);
            session.State = session.State.Start(request, model, clock.GetUtcNow());
        }

        if (_draw is not null)
        {
            return;
        }

        switch (session.State.Phase)
        {
            case GenerationPhase.Failed:
                throw new GenerationFailedException(session.State.Failure!);
            case GenerationPhase.Cancelled:
                throw new GenerationFailedException($"Session '{SessionId}' was cancelled.");
            default:
                _draw = Draw();
                break;
        }
    }

    // Runs beside the grain's requests, on its scheduler. A completed session that has lost its pictures with its silo decodes them again.
    private async Task Draw()
    {
        var (events, cancellationToken) = (_events, _drawing.Token);

        // A reader that takes its time makes no calls; it is no reason to end what is being drawn.
        DelayDeactivation(Timeout.InfiniteTimeSpan);
        foreach (var item in session.State.Replay())
        {
            events.Add(item);
        }

        try
        {
            await Sample(events, cancellationToken);
            await Complete(events);
        }
        catch (OverloadedException overloaded)
        {
            await Forget(overloaded);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // Cancelled or deactivated, whatever that did to the calls under way: whoever did it does the rest.
        }
        catch (Exception error) when (session.State.Over)
        {
            LogNotKept(logger, error, SessionId);
        }
        catch (InconsistentStateException stale)
        {
            // Another activation has written since, or the store has an answer that never came. Who asks next is told what is stored.
            LogStale(logger, stale, SessionId);
            DeactivateOnIdle();
            events.Close(new SiloUnavailableException($"Session '{SessionId}' goes on elsewhere."));
        }
        catch (InvalidRequestException refused)
        {
            await End(session.State.Fail(refused.Message), refused);
        }
        catch (Exception error)
        {
            LogFailed(logger, error, SessionId);
            await End(session.State.Fail(error.Message), new GenerationFailedException(error.Message));
        }
        finally
        {
            DelayDeactivation(TimeSpan.Zero);
        }
    }

    /// <summary>Draws the session on one generator after another, until one brings it to its end.</summary>
    private async Task Sample(SessionEvents events, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var rows = session.State.Rows.Count;
            try
            {
                await SampleOnAny(events, cancellationToken);
                return;
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested && IsLoss(error))
            {
                attempt = session.State.Rows.Count > rows ? 1 : attempt;
                LogGeneratorLost(logger, error, SessionId, session.State.Rows.Count, attempt);
                if (attempt == MaxAttempts)
                {
                    throw new GenerationFailedException($"No generator could go on with the session after {attempt} attempts: {error.Message}");
                }

                // Another generator may go on at once; only where that fails too there is something to wait for.
                await Task.Delay(attempt == 1 ? TimeSpan.Zero : RetryDelay, clock, cancellationToken);
            }
        }
    }

    /// <summary>Draws on the first generator that has room, the one that would draw soonest first.</summary>
    /// <exception cref="OverloadedException">None has.</exception>
    private async Task SampleOnAny(SessionEvents events, CancellationToken cancellationToken)
    {
        OverloadedException? full = null;
        foreach (var generator in await generators.Rank(SessionId, session.State.Model!))
        {
            try
            {
                await SampleOn(generator, events, cancellationToken);
                return;
            }
            catch (OverloadedException overloaded)
            {
                full = full is null || overloaded.RetryAfter < full.RetryAfter ? overloaded : full;
            }
        }

        throw full ?? (Exception)new SiloUnavailableException("There is no active silo.");
    }

    private async Task SampleOn(IGeneratorGrain generator, SessionEvents events, CancellationToken cancellationToken)
    {
        var pictures = 0;
        var news = new List<GenerationEvent>();
        await using var reports = generator.Sample(session.State.Remainder(clock.GetUtcNow()), cancellationToken).GetAsyncEnumerator(cancellationToken);
        for (var next = reports.MoveNextAsync().AsTask(); await next;)
        {
            // What has come meanwhile is kept with it, in one write.
            var state = session.State;
            do
            {
                (state, var told) = state.Observe(reports.Current);
                news.AddRange(told);
                pictures += reports.Current is PictureDecoded ? 1 : 0;
                next = reports.MoveNextAsync().AsTask();
            }
            while (next.IsCompletedSuccessfully && next.Result);

            // Kept before it is told: what a reader has seen is never drawn otherwise.
            await Keep(state);
            news.ForEach(events.Add);
            news.Clear();
        }

        if (pictures < session.State.Request!.Candidates)
        {
            throw new SiloUnavailableException($"The generator ended after {pictures} of {session.State.Request.Candidates} pictures.");
        }
    }

    /// <summary>Whether an error means that the generator or the store is out of reach, rather than that the request was refused.</summary>
    private static bool IsLoss(Exception error) => error is not (InvalidRequestException or OverloadedException or GenerationFailedException or InconsistentStateException);

    /// <summary>The generators were full: the session may be begun again, and if there is nothing of it yet it is as if it had never been.</summary>
    private async Task Forget(OverloadedException overloaded)
    {
        var events = _events;
        (_events, _draw) = (new(), null);
        if (!session.RecordExists)
        {
            session.State = new();
        }

        events.Close(overloaded);
    }

    // All that the ending tells of is kept by now, so readers do not wait for this to be: at worst a later activation decodes the pictures again.
    private async Task Complete(SessionEvents events)
    {
        session.State = session.State.Complete(clock.GetUtcNow());
        events.Add(session.State.Ending());
        events.Close(null);
        await Write();
    }

    private async Task End(GenerationSessionState state, Exception reason)
    {
        session.State = state;
        await Write();
        _events.Close(reason);
    }

    /// <summary>Takes over a state; it is written where it holds what could not be computed again, and if that fails nothing has changed.</summary>
    private async Task Keep(GenerationSessionState next)
    {
        var before = session.State;
        session.State = next;
        try
        {
            await (next.HoldsMoreThan(before) ? Write() : Task.CompletedTask);
        }
        catch
        {
            session.State = before;
            throw;
        }
    }

    private async Task Write()
    {
        await _writing.WaitAsync();
        try
        {
            await session.WriteStateAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task StopDrawing(CancellationToken cancellationToken)
    {
        await _drawing.CancelAsync();
        if (_draw is { } draw)
        {
            await draw.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
    }

    private void OnUnread()
    {
        if (_draw is not null && !session.State.Over)
        {
            _absence?.Dispose();
            _absence = this.RegisterGrainTimer(CancelUnread, new GrainTimerCreationOptions(ReaderAbsence, Timeout.InfiniteTimeSpan) { Interleave = true });
        }
    }

    private Task CancelUnread(CancellationToken cancellationToken) =>
        _events.Readers == 0 && session.State.Request is not null ? Cancel(cancellationToken) : Task.CompletedTask;

    private void RequireStarted()
    {
        if (session.State.Request is null)
        {
            throw new NotFoundException($"There is no session '{SessionId}'.");
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {SessionId}: its generator was lost after {Rows} rows, attempt {Attempt}")]
    private static partial void LogGeneratorLost(ILogger logger, Exception lost, string sessionId, int rows, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {SessionId} is complete, which could not be written down")]
    private static partial void LogNotKept(ILogger logger, Exception error, string sessionId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {SessionId} was written by another activation")]
    private static partial void LogStale(ILogger logger, Exception stale, string sessionId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {SessionId} failed")]
    private static partial void LogFailed(ILogger logger, Exception error, string sessionId);
}
