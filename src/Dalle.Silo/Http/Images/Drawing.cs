using System.Runtime.CompilerServices;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Silo.Http.Streaming;

namespace Dalle.Silo.Http.Images;

/// <summary>One request's pictures, as the API tells of them.</summary>
/// <param name="Request">The request.</param>
/// <param name="Kind">Its events' prefix: image_generation or image_edit.</param>
/// <param name="Output">How the pictures are written.</param>
/// <param name="Created">When it came, in seconds since 1970.</param>
internal sealed record Drawing(GenerationRequest Request, string Kind, PictureOutput Output, long Created)
{
    private string Size => FormattableString.Invariant($"{Output.Size}x{Output.Size}");

    private string Format => Output.Format switch { PictureFormat.Jpeg => "jpeg", PictureFormat.WebP => "webp", _ => "png" };

    /// <summary>The answer, once all pictures are there.</summary>
    /// <param name="events">What happens.</param>
    /// <param name="link">Writes a picture down and tells its address; null to put pictures into the answer.</param>
    public async Task<ImagesAnswer> Collect(IAsyncEnumerable<GenerationEvent> events, Func<ReadOnlyMemory<byte>, string>? link)
    {
        var pictures = new SortedDictionary<int, PictureCompleted>();
        var (input, imageTokens) = (new InputTokenDetails(0, 0), 0);
        IReadOnlyList<int>? kept = null;
        await foreach (var item in events)
        {
            switch (item)
            {
                case GenerationStarted started:
                    input = new(started.PromptTokens, started.PictureTokens);
                    break;
                case PictureCompleted picture:
                    pictures[picture.Candidate] = picture;
                    break;
                case GenerationCompleted completed:
                    (imageTokens, kept) = (completed.ImageTokens, completed.Kept);
                    break;
                default:
                    break;
            }
        }

        var data = new List<ImageObject>();
        foreach (var picture in (kept ?? [.. pictures.Keys]).Select(candidate => pictures[candidate]))
        {
            var file = await Write(picture.Png);
            data.Add(link is null ? new() { File = file, Score = picture.Score } : new() { Url = link(file), Score = picture.Score });
        }

        return new()
        {
            Created = Created,
            Data = data,
            OutputFormat = Format,
            Size = Size,
            Usage = new() { InputTokensDetails = input, OutputTokens = imageTokens },
            Model = Request.Model,
            Seed = Request.Seed,
        };
    }

    /// <summary>The events, as they come. Where candidates are ranked, those that are kept come at the end, the best first.</summary>
    public async IAsyncEnumerable<ServerEvent> Narrate(IAsyncEnumerable<GenerationEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var input = new InputTokenDetails(0, 0);
        var ranked = new Dictionary<int, PictureCompleted>();
        await foreach (var item in events.WithCancellation(cancellationToken))
        {
            switch (item)
            {
                case GenerationStarted started:
                    input = new(started.PromptTokens, started.PictureTokens);
                    break;
                case PartialPicture partial:
                    yield return (await Event("partial_image", partial.Candidate, partial.Png) with { PartialImageIndex = partial.Index }).ToServerEvent();
                    break;
                case PictureCompleted { Score: not null } picture:
                    ranked[picture.Candidate] = picture;
                    break;
                case PictureCompleted picture:
                    yield return await Completed(picture, input);
                    break;
                case GenerationCompleted { Kept: { } kept }:
                    foreach (var candidate in kept)
                    {
                        yield return await Completed(ranked[candidate], input);
                    }

                    break;
                default:
                    break;
            }
        }
    }

    private async Task<ServerEvent> Completed(PictureCompleted picture, InputTokenDetails input) => (await Event("completed", picture.Candidate, picture.Png) with
    {
        Score = picture.Score,
        Usage = new ImageUsage { InputTokensDetails = input, OutputTokens = picture.Tokens.Count },
    }).ToServerEvent();

    private async Task<ImageEvent> Event(string what, int candidate, ReadOnlyMemory<byte> png) => new()
    {
        Type = $"{Kind}.{what}", File = await Write(png), CreatedAt = Created, ImageIndex = candidate, OutputFormat = Format, Size = Size, Seed = Request.Seed,
    };

    /// <summary>A picture file as it was asked for.</summary>
    private async Task<ReadOnlyMemory<byte>> Write(ReadOnlyMemory<byte> png)
    {
        var (width, _) = PictureSignature.PngSize(png.Span);
        return Output.Format == PictureFormat.Png && Output.Size == width ? png : await Task.Run(() => PictureEncoder.Encode(PictureDecoder.Decode(png.Span), Output));
    }
}
