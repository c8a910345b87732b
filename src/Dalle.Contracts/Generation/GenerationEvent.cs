using System.Text.Json.Serialization;

namespace Dalle.Contracts.Generation;

/// <summary>Progress of a generation session, numbered from 1, so that a reader that was cut off goes on where it stopped.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(GenerationStarted), "started")]
[JsonDerivedType(typeof(RowSampled), "row")]
[JsonDerivedType(typeof(PartialPicture), "partial")]
[JsonDerivedType(typeof(PictureCompleted), "picture")]
[JsonDerivedType(typeof(GenerationCompleted), "completed")]
[GenerateSerializer, Immutable, Alias("GenerationEvent")]
public abstract record GenerationEvent
{
    /// <summary>Position in the session's history, counted from 1; set by the session.</summary>
    [Id(0)] public long Sequence { get; init; }
}

/// <summary>A generator has taken the request.</summary>
/// <param name="GridSize">Height and width of the token grid.</param>
/// <param name="ImageSize">Height and width of the pictures, in pixels.</param>
/// <param name="PromptTokens">Text tokens the prompt came to.</param>
/// <param name="PictureTokens">Image tokens the picture to complete came to; 0 where there is none.</param>
[GenerateSerializer, Immutable, Alias("GenerationStarted")]
public sealed record GenerationStarted(
    [property: Id(0)] int GridSize, [property: Id(1)] int ImageSize, [property: Id(2)] int PromptTokens, [property: Id(3)] int PictureTokens = 0) : GenerationEvent;

/// <summary>A row of image tokens was sampled.</summary>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Row">The row, counted from 0.</param>
/// <param name="Tokens">Its image tokens, left to right.</param>
[GenerateSerializer, Immutable, Alias("RowSampled")]
public sealed record RowSampled([property: Id(0)] int Candidate, [property: Id(1)] int Row, [property: Id(2)] IReadOnlyList<int> Tokens) : GenerationEvent;

/// <summary>The rows so far, decoded; the rest is white.</summary>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Index">Which of the candidate's partial pictures, counted from 0.</param>
/// <param name="Png">The picture, as a PNG.</param>
[GenerateSerializer, Immutable, Alias("PartialPicture")]
public sealed record PartialPicture([property: Id(0)] int Candidate, [property: Id(1)] int Index, [property: Id(2)] ReadOnlyMemory<byte> Png) : GenerationEvent;

/// <summary>A picture is done.</summary>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Tokens">All its image tokens, in raster order.</param>
/// <param name="Png">The picture, as a PNG.</param>
/// <param name="Score">How well it goes with the prompt: the best so far is an answer at any time. Null where no ranking was asked for.</param>
[GenerateSerializer, Immutable, Alias("PictureCompleted")]
public sealed record PictureCompleted(
    [property: Id(0)] int Candidate, [property: Id(1)] IReadOnlyList<int> Tokens, [property: Id(2)] ReadOnlyMemory<byte> Png, [property: Id(3)] double? Score = null)
    : GenerationEvent;

/// <summary>All pictures are done: the last event.</summary>
/// <param name="ImageTokens">Image tokens sampled.</param>
/// <param name="Seconds">From request to here.</param>
/// <param name="Kept">The candidates that are kept, the best first; null where no ranking was asked for.</param>
[GenerateSerializer, Immutable, Alias("GenerationCompleted")]
public sealed record GenerationCompleted(
    [property: Id(0)] int ImageTokens, [property: Id(1)] double Seconds, [property: Id(2)] IReadOnlyList<int>? Kept = null) : GenerationEvent;
