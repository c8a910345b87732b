using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Dalle.Contracts;
using Dalle.Contracts.Generation;

namespace Dalle.Workers.Generation;

/// <summary>A request's place at the engine: what came of it is read here. Disposing gives the place up.</summary>
internal sealed class GenerationTicket : IDisposable
{
    private readonly Channel<Task<GeneratorReport>> _reports = Channel.CreateUnbounded<Task<GeneratorReport>>(new() { SingleReader = true });
    private readonly ITimer? _deadline;
    private readonly Action _refused;
    private readonly Activity? _span;
    private volatile bool _left;
    private int _decided;

    /// <param name="request">What is to be drawn.</param>
    /// <param name="kept">The picture to complete, read; null where there is none.</param>
    /// <param name="clock">Tells when the request has waited for too long.</param>
    /// <param name="refused">Called when it has.</param>
    public GenerationTicket(SampleRequest request, KeptPicture? kept, TimeProvider clock, Action refused)
    {
        (Request, Kept, ModelKey, Entered, _refused) = (request, kept, ModelCache.Key(request.Model), clock.GetTimestamp(), refused);
        _span = GenerationTracing.Begin(request.Request);
        _deadline = request.Request.MaxWait is { } most ? clock.CreateTimer(_ => Expire(most), null, most, Timeout.InfiniteTimeSpan) : null;
    }

    public SampleRequest Request { get; }

    /// <summary>The picture to complete; null where there is none.</summary>
    public KeptPicture? Kept { get; }

    /// <summary>The model, as it was published when the request came.</summary>
    public string ModelKey { get; }

    /// <summary>Whom it is for.</summary>
    public string Caller => Request.Request.Caller ?? "";

    /// <summary>When it came, as a timestamp of the clock.</summary>
    public long Entered { get; }

    public int Candidates => Request.Request.Candidates;

    /// <summary>Rows that were known when the request came.</summary>
    public int KnownRows => Request.Tokens[0].Count / Request.Model.GridSize;

    /// <summary>Whether no one waits for it any more.</summary>
    public bool Left => _left;

    /// <summary>What comes of the request, to its end.</summary>
    public async IAsyncEnumerable<GeneratorReport> Reports([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var report in _reports.Reader.ReadAllAsync(cancellationToken))
        {
            yield return await report;
        }
    }

    /// <summary>The request has its turn: it waits no longer.</summary>
    /// <returns>False when it has been refused in the meantime.</returns>
    public bool TryBegin()
    {
        _deadline?.Dispose();
        return Interlocked.Exchange(ref _decided, 1) == 0;
    }

    /// <summary>Notes in the request's trace that something has come about.</summary>
    public void Trace(string what) => _span?.AddEvent(new(what));

    public void Report(GeneratorReport report) => Report(Task.FromResult(report));

    /// <summary>Reports what is still being made; what is reported later is read after it.</summary>
    public void Report(Task<GeneratorReport> report) => _reports.Writer.TryWrite(report);

    /// <summary>No more reports will come.</summary>
    public void Close(Exception? failure = null)
    {
        if (_reports.Writer.TryComplete(failure) && failure is not null)
        {
            _span?.SetStatus(ActivityStatusCode.Error, failure.Message);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _left = true;
        _deadline?.Dispose();
        Close();
        _span?.Dispose();
    }

    private void Expire(TimeSpan most)
    {
        if (TryBegin())
        {
            _left = true;
            _refused();
            Close(new OverloadedException(FormattableString.Invariant($"The request waited for {most.TotalSeconds:0.###} seconds, as long as it may, and was not begun."), most));
        }
    }
}
