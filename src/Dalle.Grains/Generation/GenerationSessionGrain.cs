using System.Runtime.CompilerServices;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Grains.Events;
using Orleans.Concurrency;

namespace Dalle.Grains.Generation;

/// <inheritdoc cref="IGenerationSessionGrain"/>
/// <remarks>Reentrant: several readers follow one run, and a cancel must get in while they wait.</remarks>
[Reentrant]
public sealed class GenerationSessionGrain(
    [PersistentState("session", GenerationStorage.Name)] IPersistentState<GenerationSessionState> session) : Grain, IGenerationSessionGrain, IDisposable
{
    /// <summary>The one engine there is for now; more are placed by load.</summary>
    private const string Generator = "0";

    private readonly EventLog<GenerationEvent> _events = new((entry, last) => entry with { Sequence = last + 1 }, entry => entry.Sequence, capacity: int.MaxValue);
    private CancellationTokenSource _running = new();
    private Task _run = Task.CompletedTask;
    private Task _saving = Task.CompletedTask;
    private Exception? _error;
    private int _readers;

    public async IAsyncEnumerable<GenerationEvent> Generate(
        GenerationRequest request, long after = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        request.Validate();
        await Begin(session.State.Start(request), cancellationToken);
        _readers++;
        try
        {
            var run = _run;
            await foreach (var entry in _events.Follow(after, () => run.IsCompleted, cancellationToken))
            {
                yield return entry;
            }
        }
        finally
        {
            if (--_readers == 0 && !_run.IsCompleted)
            {
                await Cancel(CancellationToken.None);
            }
        }

        if (_error is not null)
        {
            throw _error;
        }
    }

    public Task<GenerationStatus> GetStatus(CancellationToken cancellationToken = default) => Task.FromResult(session.State is { Request: { } request } state
        ? new GenerationStatus(state.Phase, request, state.Rows, state.Failure)
        : throw new NotFoundException($"There is no session '{this.GetPrimaryKeyString()}'."));

    public async Task Cancel(CancellationToken cancellationToken = default)
    {
        await _running.CancelAsync();
        await _run.WaitAsync(cancellationToken);
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => Cancel(cancellationToken);

    public void Dispose() => _running.Dispose();

    private async Task Begin(GenerationSessionState next, CancellationToken cancellationToken)
    {
        if (!_run.IsCompleted || (_events.Last > 0 && session.State.Phase == GenerationPhase.Completed))
        {
            return;
        }

        // Unknown models are refused before anything is stored.
        await GrainFactory.GetGrain<IModelCatalogGrain>(0).Get(next.Request!.Model, cancellationToken);
        _error = null;
        _running.Dispose();
        _running = new();
        _run = Run(next, _running.Token);
        _ = _run.ContinueWith(_ => _events.Wake(), TaskScheduler.Current);
    }

    private async Task Run(GenerationSessionState begun, CancellationToken cancellationToken)
    {
        session.State = begun;
        try
        {
            await session.WriteStateAsync(cancellationToken);

            // An activation that lost its events makes them again: rows from the kept tokens, the rest by sampling.
            var skip = _events.Last;
            await foreach (var entry in GrainFactory.GetGrain<IGeneratorGrain>(Generator)
                .Sample(session.State.Request!, session.State.Given(), cancellationToken).WithCancellation(cancellationToken))
            {
                if (skip-- > 0)
                {
                    continue;
                }

                _events.Add(entry);
                if (entry is RowSampled row)
                {
                    session.State = session.State.Observe(row);
                    SaveSoon();
                }
            }

            await End(GenerationPhase.Completed, null);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            await End(GenerationPhase.Cancelled, null);
        }
        catch (Exception error)
        {
            _error = error;
            await End(GenerationPhase.Failed, error.Message);
        }
    }

    private async Task End(GenerationPhase phase, string? failure)
    {
        await _saving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        session.State = session.State with { Phase = phase, Failure = failure };
        await session.WriteStateAsync();
    }

    // One write at a time; rows that come meanwhile go with the next.
    private void SaveSoon()
    {
        if (_saving.IsCompleted)
        {
            _saving = session.WriteStateAsync();
        }
    }
}
