using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Dalle.Client;
using Dalle.Contracts.Generation;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Streaming;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Dalle.Silo.Http.Images;

/// <summary><c>/v1/images</c>: pictures for a prompt, each request in a generation session of its own. A client that leaves ends its session.</summary>
internal static class ImageEndpoints
{
    public static void MapImages(this IEndpointRouteBuilder v1) => v1.MapPost("/images/generations", Generate)
        .WithName("createImage")
        .WithTags("Images")
        .WithSummary("Draw pictures for a prompt.")
        .WithDescription("The answer comes when all pictures are done, or with stream as Server-Sent Events: image_generation.partial_image and image_generation.completed.")
        .Produces<ImageEvent>(StatusCodes.Status200OK, EventStream.ContentType)
        .OrProduces(typeof(ImagesAnswer))
        .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable)
        .WithMetadata(new NotFoundMeaning("model", "model_not_found"))
        .LimitStreams();

    private static async Task<IResult> Generate(ImageRequest body, DalleClient client, TimeProvider clock, HttpContext context, CancellationToken cancellationToken)
    {
        body.Check();
        var model = await client.GetModel(body.Model, cancellationToken);
        var request = body.For(model, (ulong)RandomNumberGenerator.GetInt32(int.MaxValue));
        request.Validate();
        var drawing = new Drawing(request, ImageSize.Of(model), clock.GetUtcNow().ToUnixTimeSeconds());

        // The session bears the request's id, which only this client is told.
        IAsyncEnumerable<GenerationEvent> Draw(CancellationToken token) => client.Generate(context.TraceIdentifier, request, 0, token);
        return body.Stream == true
            ? new EventStream(token => drawing.Narrate(Draw(token), token))
            : TypedResults.Ok(await drawing.Collect(Draw(cancellationToken)));
    }

    /// <summary>One request's pictures, as the API tells of them.</summary>
    private sealed record Drawing(GenerationRequest Request, string Size, long Created)
    {
        public async Task<ImagesAnswer> Collect(IAsyncEnumerable<GenerationEvent> events)
        {
            var pictures = new SortedDictionary<int, ImageObject>();
            var (promptTokens, imageTokens) = (0, 0);
            await foreach (var item in events)
            {
                switch (item)
                {
                    case GenerationStarted started:
                        promptTokens = started.PromptTokens;
                        break;
                    case PictureCompleted picture:
                        pictures[picture.Candidate] = new() { Png = picture.Png };
                        break;
                    case GenerationCompleted completed:
                        imageTokens = completed.ImageTokens;
                        break;
                    default:
                        break;
                }
            }

            return new()
            {
                Created = Created,
                Data = [.. pictures.Values],
                Size = Size,
                Usage = new() { InputTokens = promptTokens, OutputTokens = imageTokens },
                Model = Request.Model,
                Seed = Request.Seed,
            };
        }

        public async IAsyncEnumerable<ServerEvent> Narrate(IAsyncEnumerable<GenerationEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var promptTokens = 0;
            await foreach (var item in events.WithCancellation(cancellationToken))
            {
                switch (item)
                {
                    case GenerationStarted started:
                        promptTokens = started.PromptTokens;
                        break;
                    case PartialPicture partial:
                        yield return new PartialImage
                        {
                            Png = partial.Png, CreatedAt = Created, ImageIndex = partial.Candidate, Size = Size, Seed = Request.Seed, PartialImageIndex = partial.Index,
                        }.ToServerEvent();
                        break;
                    case PictureCompleted picture:
                        yield return new CompletedImage
                        {
                            Png = picture.Png, CreatedAt = Created, ImageIndex = picture.Candidate, Size = Size, Seed = Request.Seed,
                            Usage = new() { InputTokens = promptTokens, OutputTokens = picture.Tokens.Count },
                        }.ToServerEvent();
                        break;
                    default:
                        break;
                }
            }
        }
    }
}
