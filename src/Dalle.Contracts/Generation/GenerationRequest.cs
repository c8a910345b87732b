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

    /// <summary>Most candidates of one request.</summary>
    public const int MaxCandidates = 64;

    /// <summary>Longest prompt, in characters; a model may take fewer tokens than these come to.</summary>
    public const int MaxPromptLength = 4000;

    /// <summary>Most partial pictures of one candidate.</summary>
    public const int MaxPartialPictures = 64;

    /// <summary>Checks what can be checked without the model.</summary>
    /// <exception cref="InvalidRequestException">A field is not valid; it is named.</exception>
    public void Validate()
    {
        Names.Check(Model, "model");
        Require(!string.IsNullOrWhiteSpace(Prompt), "prompt", "a text that says what to draw", "none");
        Require(Prompt.Length <= MaxPromptLength, "prompt", $"at most {MaxPromptLength} characters", Prompt.Length);
        Require(Candidates is >= 1 and <= MaxCandidates, "candidates", $"1 to {MaxCandidates}", Candidates);
        Require(Temperature is null or (> 0 and <= 100), "temperature", "a number above 0 and at most 100", Temperature);
        Require(TopK is null or >= 1, "topK", "at least 1", TopK);
        Require(TopP is null or (> 0 and <= 1), "topP", "a number above 0 and at most 1", TopP);
        Require(Guidance is null or (>= 0 and <= 100), "guidance", "0 to 100", Guidance);
        Require(PartialPictures is >= 0 and <= MaxPartialPictures, "partialPictures", $"0 to {MaxPartialPictures}", PartialPictures);
    }

    /// <summary>After which rows, counted from 0, partial pictures are sent: evenly spaced, never after the last row, which makes the picture whole.</summary>
    public IReadOnlyList<int> PartialRows(int gridSize)
    {
        var count = Math.Min(PartialPictures, gridSize - 1);
        return [.. Enumerable.Range(1, count).Select(i => (i * gridSize / (count + 1)) - 1)];
    }

    private static void Require(bool holds, string field, string expected, object? got)
    {
        if (!holds)
        {
            throw new InvalidRequestException(FormattableString.Invariant($"{field}: expected {expected}, got {got}."), field);
        }
    }
}
