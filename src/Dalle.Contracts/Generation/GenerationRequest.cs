namespace Dalle.Contracts.Generation;

/// <summary>What pictures are asked for. The same request gives the same pictures on any silo and in any batch.</summary>
[GenerateSerializer, Immutable, Alias("GenerationRequest")]
public sealed record GenerationRequest
{
    /// <summary>Name of a published model.</summary>
    [Id(0)] public required string Model { get; init; }

    [Id(1)] public required string Prompt { get; init; }

    /// <summary>Candidates: pictures drawn for the prompt, 1 to 64. Default: 1.</summary>
    [Id(2)] public int Candidates { get; init; } = 1;

    /// <summary>Seed of the first picture; candidate c is drawn with (Seed, c).</summary>
    [Id(3)] public ulong Seed { get; init; }

    /// <summary>Sampling temperature; null for the model's preset.</summary>
    [Id(4)] public double? Temperature { get; init; }

    /// <summary>Draw only from the k most likely tokens; null for the model's preset.</summary>
    [Id(5)] public int? TopK { get; init; }

    /// <summary>Draw only from the most likely tokens up to this probability; null for the model's preset.</summary>
    [Id(6)] public double? TopP { get; init; }

    /// <summary>Classifier-free guidance; null for the model's preset, 1 for none.</summary>
    [Id(7)] public double? Guidance { get; init; }

    /// <summary>Partial pictures sent per candidate while sampling, evenly spaced over its rows. Default: 0.</summary>
    [Id(8)] public int PartialPictures { get; init; }

    /// <summary>Whom the pictures are for: where many wait, callers take turns. Null for no one in particular.</summary>
    [Id(9)] public string? Caller { get; init; }

    /// <summary>Time after which the request is refused if none of its pictures has been begun, up to an hour; null for as long as it takes.</summary>
    [Id(10)] public TimeSpan? MaxWait { get; init; }

    /// <summary>A picture to complete, or to vary; null to draw whole pictures. With one the prompt may be empty.</summary>
    [Id(11)] public PictureToComplete? Completion { get; init; }

    /// <summary>Of the candidates, how many are kept: those that the model's reranker finds to go best with the prompt. Null for all, unranked.</summary>
    [Id(12)] public int? Keep { get; init; }

    /// <summary>Longest prompt, in characters.</summary>
    public const int MaxPromptLength = 4000;

    /// <summary>Longest name of a caller, in characters.</summary>
    public const int MaxCallerLength = 256;

    /// <summary>Checks what can be checked without knowing the model.</summary>
    /// <exception cref="InvalidRequestException">A field is not valid; it is named.</exception>
    public void Validate()
    {
        Names.Check(Model, nameof(Model));
        Completion?.Validate();
        Require(Prompt is not null && (Completion is not null || !string.IsNullOrWhiteSpace(Prompt)) && Prompt.Length <= MaxPromptLength, nameof(Prompt), $"1 to {MaxPromptLength} characters", Prompt?.Length);
        Require(Candidates is >= 1 and <= 64, nameof(Candidates), "1 to 64", Candidates);
        Require(Keep is null || (Keep >= 1 && Keep <= Candidates), nameof(Keep), $"1 to {Candidates}, the candidates", Keep);
        Require(Temperature is null or (> 0 and <= 100), nameof(Temperature), "above 0, at most 100", Temperature);
        Require(TopK is null or >= 1, nameof(TopK), "at least 1", TopK);
        Require(TopP is null or (> 0 and <= 1), nameof(TopP), "above 0, at most 1", TopP);
        Require(Guidance is null or (>= 0 and <= 100), nameof(Guidance), "0 to 100", Guidance);
        Require(Caller is null or { Length: > 0 and <= MaxCallerLength }, nameof(Caller), $"1 to {MaxCallerLength} characters", Caller?.Length);
        Require(MaxWait is null || (MaxWait > TimeSpan.Zero && MaxWait <= TimeSpan.FromHours(1)), nameof(MaxWait), "above 0, at most an hour", MaxWait);
        Require(PartialPictures is >= 0 and <= 16, nameof(PartialPictures), "0 to 16", PartialPictures);
    }

    /// <summary>After which rows, counted from 0, partial pictures are sent: evenly spaced, never after the last row, which makes the picture whole.</summary>
    public IReadOnlyList<int> PartialRows(int gridSize)
    {
        var count = Math.Min(PartialPictures, gridSize - 1);
        return [.. Enumerable.Range(1, count).Select(i => (i * gridSize / (count + 1)) - 1)];
    }

    internal static void Require(bool holds, string field, string expected, object? found)
    {
        if (!holds)
        {
            throw new InvalidRequestException(FormattableString.Invariant($"{field}: expected {expected}, got {found ?? "nothing"}."), field);
        }
    }
}
