using Dalle.Contracts.Models;
using Orleans.Concurrency;

namespace Dalle.Contracts.Generation;

/// <summary>The generation engine of one silo, keyed by the silo's address. Requests that wait are sampled together, step by step.</summary>
public interface IGeneratorGrain : IGrainWithStringKey
{
    /// <summary>Samples a request's pictures, or the rest of them, and streams what happens. Leaving the enumeration frees the slots within one token.</summary>
    /// <exception cref="InvalidRequestException">The prompt comes to more tokens than the model takes, or the picture to complete cannot be read.</exception>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    IAsyncEnumerable<GeneratorReport> Sample(SampleRequest request, CancellationToken cancellationToken = default);

    /// <summary>How soon a request for a model would be drawn here.</summary>
    [ReadOnly]
    Task<GeneratorLoad> GetLoad(ModelManifest model, CancellationToken cancellationToken = default);
}

/// <summary>How busy a generator is.</summary>
/// <param name="Waiting">Requests that wait for a slot.</param>
/// <param name="Running">Requests being sampled.</param>
/// <param name="Loaded">Whether the model is in memory.</param>
/// <param name="Training">Stages of training jobs that run on the same device.</param>
/// <param name="RetryAfter">When to try again where it takes no more requests; null where it takes one.</param>
[GenerateSerializer, Immutable, Alias("GeneratorLoad")]
public sealed record GeneratorLoad(
    [property: Id(0)] int Waiting, [property: Id(1)] int Running, [property: Id(2)] bool Loaded, [property: Id(3)] int Training, [property: Id(4)] TimeSpan? RetryAfter = null);

/// <summary>What a generator is to draw.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Model">The model, as it was published when the session began.</param>
/// <param name="Tokens">Image tokens that are already known, in raster order, whole rows, for each candidate.</param>
/// <param name="PictureTokens">Image tokens of the picture to complete, if they are known; null to encode it.</param>
/// <param name="PartialsTold">Partial pictures of each candidate that are not wanted any more; those after them, of rows that are known, are reported first.</param>
[GenerateSerializer, Immutable, Alias("SampleRequest")]
public sealed record SampleRequest(
    [property: Id(0)] GenerationRequest Request, [property: Id(1)] ModelManifest Model, [property: Id(2)] IReadOnlyList<IReadOnlyList<int>> Tokens,
    [property: Id(3)] IReadOnlyList<int>? PictureTokens = null, [property: Id(4)] int PartialsTold = 0);

/// <summary>What a generator tells the session that asked it: that it began, then rows with partial pictures between them, then each picture.</summary>
[GenerateSerializer, Immutable, Alias("GeneratorReport")]
public abstract record GeneratorReport;

/// <summary>The request has left the queue.</summary>
/// <param name="PromptTokens">Text tokens the prompt came to.</param>
/// <param name="PictureTokens">All image tokens of the picture to complete: whoever goes on with the request needs the same. Null where there is none.</param>
[GenerateSerializer, Immutable, Alias("SamplingStarted")]
public sealed record SamplingStarted([property: Id(0)] int PromptTokens, [property: Id(1)] IReadOnlyList<int>? PictureTokens = null) : GeneratorReport;

/// <summary>The next row of every candidate.</summary>
/// <param name="Tokens">Image tokens of the row, left to right, for each candidate.</param>
[GenerateSerializer, Immutable, Alias("RowsSampled")]
public sealed record RowsSampled([property: Id(0)] IReadOnlyList<IReadOnlyList<int>> Tokens) : GeneratorReport;

/// <summary>One of the asked-for partial pictures.</summary>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Index">Which of the candidate's partial pictures, counted from 0.</param>
/// <param name="Png">The picture, as a PNG; what is not sampled yet is white.</param>
[GenerateSerializer, Immutable, Alias("PartialDecoded")]
public sealed record PartialDecoded([property: Id(0)] int Candidate, [property: Id(1)] int Index, [property: Id(2)] ReadOnlyMemory<byte> Png) : GeneratorReport;

/// <summary>A whole picture.</summary>
/// <param name="Candidate">The picture, counted from 0.</param>
/// <param name="Png">The picture, as a PNG.</param>
/// <param name="Score">How well it goes with the prompt, by the model's reranker; null where that was not asked for.</param>
[GenerateSerializer, Immutable, Alias("PictureDecoded")]
public sealed record PictureDecoded([property: Id(0)] int Candidate, [property: Id(1)] ReadOnlyMemory<byte> Png, [property: Id(2)] double? Score = null) : GeneratorReport;
