using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;

namespace Dalle.Grains.Generation;

/// <summary>
/// What must outlive any silo of a generation session, and the rules by which it changes: the request, the model, the tokens so far. Events are numbered by
/// what they say, not by when they came, so they have the same numbers again after the session, or its generator, moved to another silo.
/// </summary>
[GenerateSerializer, Immutable, Alias("GenerationSessionState")]
public sealed record GenerationSessionState
{
    /// <summary>What was asked for; null until the session is started.</summary>
    [Id(0)] public GenerationRequest? Request { get; init; }

    /// <summary>The model, as it was published when the session began.</summary>
    [Id(1)] public ModelManifest? Model { get; init; }

    [Id(2)] public GenerationPhase Phase { get; init; }

    [Id(3)] public DateTimeOffset Started { get; init; }

    /// <summary>Text tokens of the prompt; null until a generator has taken the request.</summary>
    [Id(4)] public int? PromptTokens { get; init; }

    /// <summary>Rows of image tokens, for each candidate.</summary>
    [Id(5)] public IReadOnlyList<IReadOnlyList<IReadOnlyList<int>>> Rows { get; init; } = Array.Empty<IReadOnlyList<IReadOnlyList<int>>>();

    /// <summary>From start to the last picture; null until then.</summary>
    [Id(6)] public double? Seconds { get; init; }

    /// <summary>Why the session failed; null unless it did.</summary>
    [Id(7)] public string? Failure { get; init; }

    /// <summary>Image tokens of the picture to complete; null until a generator has encoded it, or where there is none.</summary>
    [Id(8)] public IReadOnlyList<int>? PictureTokens { get; init; }

    /// <summary>The candidates' scores so far, in the order of the candidates; none where no ranking was asked for.</summary>
    [Id(9)] public IReadOnlyList<double> Scores { get; init; } = Array.Empty<double>();

    /// <summary>Partial pictures of each candidate that readers were told. Not stored: what a lost activation told may not have reached them.</summary>
    [field: NonSerialized] public int PartialsTold { get; init; }

    /// <summary>Whether nothing more will be sampled.</summary>
    public bool Over => Phase is GenerationPhase.Completed or GenerationPhase.Failed or GenerationPhase.Cancelled;

    private int Candidates => Request!.Candidates;

    private int GridSize => Model!.GridSize;

    private IReadOnlyList<int> PartialRows => Request!.PartialRows(GridSize);

    /// <summary>The first start; a repeat of the same request changes nothing.</summary>
    /// <exception cref="InvalidRequestException">The session runs another request.</exception>
    public GenerationSessionState Start(GenerationRequest request, ModelManifest model, DateTimeOffset now)
    {
        RequireSame(request);
        return Request is not null ? this : this with { Request = request, Model = model, Phase = GenerationPhase.Running, Started = now };
    }

    /// <exception cref="InvalidRequestException">The session runs another request.</exception>
    public void RequireSame(GenerationRequest request)
    {
        if (Request is { } own && own != request)
        {
            throw new InvalidRequestException($"The session already draws '{own.Prompt}' with model '{own.Model}' and seed {own.Seed}; begin another session for another request.", "session");
        }
    }

    /// <summary>Takes in what a generator reports, and tells what it means to readers.</summary>
    public (GenerationSessionState State, IReadOnlyList<GenerationEvent> Events) Observe(GeneratorReport report)
    {
        switch (report)
        {
            case SamplingStarted started:
                return PromptTokens is null ? Begin(this with { PromptTokens = started.PromptTokens, PictureTokens = started.PictureTokens }) : (this, []);
            case RowsSampled row:
                return (this with { Rows = Rows.Append(row.Tokens).ToArray() }, [.. RowEvents(Rows.Count, row.Tokens)]);
            case PartialDecoded partial:
                var told = partial.Candidate == Candidates - 1 ? this with { PartialsTold = partial.Index + 1 } : this;
                var decoded = new PartialPicture(partial.Candidate, partial.Index, partial.Png) { Sequence = PartialNumber(partial.Index, partial.Candidate) };
                return (told, [decoded, .. told == this ? [] : told.RowEventsFrom(PartialRows[partial.Index] + 1)]);
            case PictureDecoded picture:
                var item = new PictureCompleted(picture.Candidate, Tokens(picture.Candidate), picture.Png, picture.Score) { Sequence = PictureNumber(picture.Candidate) };
                return (picture.Score is { } score && picture.Candidate == Scores.Count ? this with { Scores = Scores.Append(score).ToArray() } : this, [item]);
            default:
                throw new InvalidOperationException($"A generator sent a {report.GetType().Name}, which this session does not know.");
        }
    }

    /// <summary>Whether there are tokens or scores in it that the other state lacks. All else can be found again: the picture to complete is encoded anew as long as no token followed it.</summary>
    public bool HoldsMoreThan(GenerationSessionState other) => Rows.Count > other.Rows.Count || Scores.Count > other.Scores.Count;

    /// <summary>All pictures are there.</summary>
    public GenerationSessionState Complete(DateTimeOffset now) =>
        this with { Phase = GenerationPhase.Completed, Seconds = Seconds ?? (now - Started).TotalSeconds };

    public GenerationSessionState Fail(string reason) => this with { Phase = GenerationPhase.Failed, Failure = reason };

    public GenerationSessionState Cancel() => Over ? this : this with { Phase = GenerationPhase.Cancelled };

    /// <summary>The last event.</summary>
    public GenerationEvent Ending() =>
        new GenerationCompleted(Candidates * GridSize * GridSize, Seconds!.Value, Kept()) { Sequence = PictureNumber(Candidates) };

    /// <summary>The events that the stored tokens tell of, up to the first partial picture: those, and the pictures, are decoded anew from the tokens.</summary>
    public IEnumerable<GenerationEvent> Replay() => PromptTokens is null ? [] : RowEventsFrom(0).Prepend(Beginning());

    /// <summary>What a generator is to draw, or to go on with. What the request may wait for counts from its start, on all generators together, and no more once there are rows.</summary>
    /// <exception cref="OverloadedException">It has waited for so long.</exception>
    public SampleRequest Remainder(DateTimeOffset now) =>
        new(Request! with { MaxWait = Rows.Count == 0 ? LeftToWait(now) : null }, Model!, Enumerable.Range(0, Candidates).Select(Tokens).ToArray(), PictureTokens, PartialsTold);

    /// <summary>What the session reports of itself.</summary>
    public GenerationStatus Status() => new(Phase, Request!, Rows.Count, Failure);

    /// <summary>The best candidates, of equals the first.</summary>
    private int[]? Kept() => Request!.Keep is { } count ? [.. Enumerable.Range(0, Candidates).OrderByDescending(candidate => Scores[candidate]).Take(count)] : null;

    private TimeSpan? LeftToWait(DateTimeOffset now) => Request!.MaxWait is not { } most ? null : Started + most - now is var left && left > TimeSpan.Zero ? left
        : throw new OverloadedException(FormattableString.Invariant($"The request waited for {most.TotalSeconds:0.###} seconds, as long as it may, and was not begun."), most);

    private int[] Tokens(int candidate) => [.. Rows.SelectMany(row => row[candidate])];

    private static (GenerationSessionState State, IReadOnlyList<GenerationEvent> Events) Begin(GenerationSessionState state) => (state, [state.Beginning()]);

    private GenerationStarted Beginning() => new(GridSize, Model!.ImageSize, PromptTokens!.Value, PictureTokens?.Count ?? 0) { Sequence = 1 };

    /// <summary>The known rows from one on, up to the one after which the next partial pictures are due.</summary>
    private IEnumerable<GenerationEvent> RowEventsFrom(int first)
    {
        var end = PartialsTold < PartialRows.Count ? Math.Min(PartialRows[PartialsTold] + 1, Rows.Count) : Rows.Count;
        return Enumerable.Range(first, Math.Max(end - first, 0)).SelectMany(row => RowEvents(row, Rows[row]));
    }

    private IEnumerable<GenerationEvent> RowEvents(int row, IReadOnlyList<IReadOnlyList<int>> tokens) =>
        tokens.Select((line, candidate) => new RowSampled(candidate, row, line) { Sequence = RowNumber(row, candidate) });

    // The order is: beginning; each row of all candidates, followed by the partial pictures due after it; the pictures; the ending.
    private long RowNumber(int row, int candidate) => 2 + ((row + PartialRows.Count(partial => partial < row)) * (long)Candidates) + candidate;

    private long PartialNumber(int index, int candidate) => RowNumber(PartialRows[index], candidate) + Candidates;

    private long PictureNumber(int candidate) => RowNumber(GridSize, candidate);
}
