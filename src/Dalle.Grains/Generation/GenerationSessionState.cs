using Dalle.Contracts;
using Dalle.Contracts.Generation;

namespace Dalle.Grains.Generation;

/// <summary>What must outlive any silo of a generation session, and the rules by which it changes.</summary>
[GenerateSerializer, Immutable, Alias("GenerationSessionState")]
public sealed record GenerationSessionState
{
    /// <summary>What is asked for; null until the session is started.</summary>
    [Id(0)] public GenerationRequest? Request { get; init; }

    [Id(1)] public GenerationPhase Phase { get; init; }

    /// <summary>Image tokens sampled so far, by candidate.</summary>
    [Id(2)] public IReadOnlyList<IReadOnlyList<int>> Tokens { get; init; } = [];

    /// <summary>Why the session failed; null unless it did.</summary>
    [Id(3)] public string? Failure { get; init; }

    /// <summary>Rows that every candidate has.</summary>
    [Id(4)] public int Rows { get; init; }

    /// <summary>A start, or another reader of the same request.</summary>
    /// <exception cref="InvalidRequestException">The session runs another request.</exception>
    public GenerationSessionState Start(GenerationRequest request) => Request is null || Request == request
        ? this with { Request = request, Phase = Phase == GenerationPhase.Completed ? Phase : GenerationPhase.Running, Failure = null }
        : throw new InvalidRequestException("The session id is taken by another request; use a new one.", "id");

    /// <summary>A row of a candidate was sampled. Rows come in order; one that is known already changes nothing.</summary>
    public GenerationSessionState Observe(RowSampled row)
    {
        var tokens = Tokens.Count == 0 ? [.. Enumerable.Repeat<IReadOnlyList<int>>([], Request!.Candidates)] : Tokens.ToArray();
        if (row.Row * row.Tokens.Count != tokens[row.Candidate].Count)
        {
            return this;
        }

        tokens[row.Candidate] = [.. tokens[row.Candidate], .. row.Tokens];
        return this with { Tokens = tokens, Rows = tokens.Min(candidate => candidate.Count) / row.Tokens.Count };
    }

    /// <summary>Tokens of the rows that every candidate has: what another generator goes on from.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Given()
    {
        var shortest = Tokens.Count == 0 ? 0 : Tokens.Min(candidate => candidate.Count);
        return shortest == 0 ? [] : [.. Tokens.Select(candidate => (IReadOnlyList<int>)[.. candidate.Take(shortest)])];
    }
}
