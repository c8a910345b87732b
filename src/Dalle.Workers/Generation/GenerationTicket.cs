using System.Threading.Channels;
using Dalle.Contracts.Generation;

namespace Dalle.Workers.Generation;

/// <summary>A request's place at the engine: what came of it is read here. Disposing gives the place up.</summary>
internal sealed class GenerationTicket : IDisposable
{
    private readonly Channel<GeneratorReport> _reports = Channel.CreateUnbounded<GeneratorReport>(new() { SingleReader = true });
    private volatile bool _left;

    public GenerationTicket(SampleRequest request) => Request = request;

    public SampleRequest Request { get; }

    public int Candidates => Request.Request.Candidates;

    /// <summary>Rows that were known when the request came.</summary>
    public int KnownRows => Request.Tokens[0].Count / Request.Model.GridSize;

    /// <summary>Whether all that is left is to decode the pictures.</summary>
    public bool IsSampled => KnownRows == Request.Model.GridSize;

    /// <summary>Whether no one waits for it any more.</summary>
    public bool Left => _left;

    /// <summary>What comes of the request, to its end.</summary>
    public IAsyncEnumerable<GeneratorReport> Reports(CancellationToken cancellationToken) => _reports.Reader.ReadAllAsync(cancellationToken);

    public void Report(GeneratorReport report) => _reports.Writer.TryWrite(report);

    /// <summary>No more reports will come.</summary>
    public void Close(Exception? failure = null) => _reports.Writer.TryComplete(failure);

    /// <inheritdoc/>
    public void Dispose()
    {
        _left = true;
        Close();
    }
}
