using System.Globalization;
using System.Security.Cryptography;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Microsoft.Extensions.AI;

namespace Dalle.Client;

/// <summary>
/// A cluster's models as an image generator of Microsoft.Extensions.AI. An original image is completed: what is opaque of it is kept, the rest is drawn anew, and
/// of one that is opaque all over a half. <see cref="ImageGenerationOptions.AdditionalProperties"/> may have <c>seed</c>, <c>temperature</c>, <c>top_k</c>,
/// <c>top_p</c>, <c>guidance</c>, <c>candidates</c> (of which the count is kept) and <c>mask</c> (a <see cref="DataContent"/>).
/// </summary>
/// <param name="client">The cluster; the caller keeps and disposes it.</param>
/// <param name="model">The model where options name none; null for the newest.</param>
/// <remarks>Thread-safe.</remarks>
public sealed class DalleImageGenerator(DalleClient client, string? model = null) : IImageGenerator
{
    private const string Png = "image/png";

    /// <inheritdoc/>
    /// <exception cref="InvalidRequestException">The request is not valid, or asks for what there is not; the field is named.</exception>
    /// <exception cref="NotFoundException">No such model is published, or none at all.</exception>
    /// <exception cref="OverloadedException">The generators' queue is full.</exception>
    public async Task<ImageGenerationResponse> GenerateAsync(ImageGenerationRequest request, ImageGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        Require(options?.MediaType is null or Png, nameof(options.MediaType), Png, options?.MediaType);
        Require(options?.ResponseFormat is null or ImageGenerationResponseFormat.Data, nameof(options.ResponseFormat), "Data", options?.ResponseFormat);
        var candidates = Additional(options, "candidates", value => Convert.ToInt32(value, CultureInfo.InvariantCulture));
        var asked = new GenerationRequest
        {
            Model = options?.ModelId ?? model ?? await NewestModel(cancellationToken),
            Prompt = request.Prompt ?? "",
            Candidates = candidates ?? options?.Count ?? 1,
            Keep = candidates is null ? null : options?.Count ?? 1,
            Seed = Additional(options, "seed", value => Convert.ToUInt64(value, CultureInfo.InvariantCulture)) ?? (ulong)RandomNumberGenerator.GetInt32(int.MaxValue),
            Temperature = Additional(options, "temperature", value => Convert.ToDouble(value, CultureInfo.InvariantCulture)),
            TopK = Additional(options, "top_k", value => Convert.ToInt32(value, CultureInfo.InvariantCulture)),
            TopP = Additional(options, "top_p", value => Convert.ToDouble(value, CultureInfo.InvariantCulture)),
            Guidance = Additional(options, "guidance", value => Convert.ToDouble(value, CultureInfo.InvariantCulture)),
            Completion = Completion(request, options),
        };
        var pictures = new SortedDictionary<int, AIContent>();
        var usage = new UsageDetails();
        IReadOnlyList<int>? kept = null;
        await foreach (var item in client.Generate(asked, cancellationToken))
        {
            switch (item)
            {
                case GenerationStarted started:
                    usage.InputTokenCount = started.PromptTokens + started.PictureTokens;
                    break;
                case PictureCompleted picture:
                    pictures[picture.Candidate] = new DataContent(picture.Png, Png);
                    break;
                case GenerationCompleted completed:
                    kept = completed.Kept;
                    usage.OutputTokenCount = completed.ImageTokens;
                    usage.TotalTokenCount = usage.InputTokenCount + usage.OutputTokenCount;
                    break;
                default:
                    break;
            }
        }

        return new([.. (kept ?? [.. pictures.Keys]).Select(candidate => pictures[candidate])]) { RawRepresentation = asked, Usage = usage };
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ImageGeneratorMetadata) ? new ImageGeneratorMetadata("dalle.orleans", defaultModelId: model)
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(client) ? client
            : null;
    }

    /// <summary>Does nothing: the client is its owner's.</summary>
    public void Dispose()
    {
        // Nothing of its own.
    }

    private static PictureToComplete? Completion(ImageGenerationRequest request, ImageGenerationOptions? options)
    {
        var originals = request.OriginalImages?.ToArray() ?? [];
        Require(originals.Length <= 1, nameof(request.OriginalImages), "at most one picture, which is what these models go on from", originals.Length);
        return originals is [var original]
            ? new()
            {
                Picture = File(original, nameof(request.OriginalImages)),
                Mask = options?.AdditionalProperties?.GetValueOrDefault("mask") is { } mask ? File(mask, "mask") : (ReadOnlyMemory<byte>?)null,
            }
            : null;
    }

    private static ReadOnlyMemory<byte> File(object content, string field)
    {
        Require(content is DataContent, field, "the picture itself (a DataContent)", content.GetType().Name);
        return ((DataContent)content).Data;
    }

    private static T? Additional<T>(ImageGenerationOptions? options, string name, Func<object, T> convert)
        where T : struct
    {
        if (options?.AdditionalProperties?.GetValueOrDefault(name) is not { } value)
        {
            return null;
        }

        try
        {
            return convert(value);
        }
        catch (Exception error) when (error is FormatException or InvalidCastException or OverflowException)
        {
            throw new InvalidRequestException(FormattableString.Invariant($"{name}: expected a number, got {value}."), name);
        }
    }

    private static void Require(bool holds, string field, string expected, object? found)
    {
        if (!holds)
        {
            throw new InvalidRequestException(FormattableString.Invariant($"{field}: expected {expected}, got {found ?? "nothing"}."), field);
        }
    }

    private async Task<string> NewestModel(CancellationToken cancellationToken) =>
        await client.ListModels(cancellationToken) is [var newest, ..] ? newest.Name : throw new NotFoundException("No model is published.");
}
