using System.Security.Claims;
using System.Security.Cryptography;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Grains.Generation;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Streaming;
using Dalle.Workers.Generation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Dalle.Silo.Http.Images;

/// <summary><c>/v1/images</c>: pictures for a prompt or from another picture, each request in a generation session of its own. A client that leaves ends its session.</summary>
internal static class ImageEndpoints
{
    public static void MapImages(this IEndpointRouteBuilder v1)
    {
        Describe(v1.MapPost("/images/generations", Generate))
            .WithName("createImage")
            .WithSummary("Draw pictures for a prompt.")
            .WithDescription("The answer comes when all pictures are done, or with stream as Server-Sent Events: image_generation.partial_image and image_generation.completed.");
        Describe(v1.MapPost("/images/edits", Edit))
            .WithName("createImageEdit")
            .Accepts<ImageEditRequest>("multipart/form-data", "application/json")
            .WithMetadata(new RequestSizeLimitAttribute(ImageForm.MaxBytes))
            .WithSummary("Complete a picture: what is opaque of it is kept, the rest is drawn anew.")
            .WithDescription("The answer comes when all pictures are done, or with stream as Server-Sent Events: image_edit.partial_image and image_edit.completed.");
        Describe(v1.MapPost("/images/variations", Vary))
            .WithName("createImageVariation")
            .Accepts<ImageVariationRequest>("multipart/form-data", "application/json")
            .WithMetadata(new RequestSizeLimitAttribute(ImageForm.MaxBytes))
            .WithSummary("Draw pictures like another one: a share of its tokens is drawn anew.")
            .WithDescription("The answer comes when all pictures are done, or with stream as Server-Sent Events: image_generation.partial_image and image_generation.completed.");
    }

    /// <summary>Finished pictures by their addresses. Whoever knows one may have it.</summary>
    public static void MapPictureFiles(this IEndpointRouteBuilder routes) => routes.MapGet($"{PictureLinks.Route}/{{name}}", Fetch)
        .WithName("fetchImage")
        .WithTags("Images")
        .WithSummary("Fetch a picture by the address that an answer gave.")
        .Produces(StatusCodes.Status200OK, contentType: "image/png")
        .Refuses(StatusCodes.Status404NotFound)
        .AllowAnonymous();

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint) => endpoint
        .WithTags("Images")
        .Produces<ImageEvent>(StatusCodes.Status200OK, EventStream.ContentType)
        .OrProduces(typeof(ImagesAnswer))
        .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable)
        .WithMetadata(new NotFoundMeaning("model", "model_not_found"))
        .LimitStreams();

    private static async Task<IResult> Generate(ImageGenerationRequest body, DalleClient client, PictureLinks links, TimeProvider clock, HttpContext context, CancellationToken cancellationToken)
    {
        body.Check();
        return await Draw(body, await client.GetModel(body.Model, cancellationToken), "image_generation", null, client, links, clock, context, cancellationToken);
    }

    private static async Task<IResult> Edit(DalleClient client, PictureLinks links, TimeProvider clock, HttpContext context, CancellationToken cancellationToken)
    {
        var (body, files) = await ImageForm.Read(context, HttpJson.Api.ImageEditRequest, cancellationToken);
        body.Check();
        var picture = Picture(files.GetValueOrDefault("image") ?? PictureFiles.Of(body.Image, "image") ?? PictureFiles.Of(body.Images, "images"));
        var mask = files.GetValueOrDefault("mask") ?? PictureFiles.Of(body.Mask, "mask");
        var model = await client.GetModel(body.Model, cancellationToken);
        var completion = await Task.Run(() => new PictureFiles(picture, mask).Fit(model), cancellationToken);
        return await Draw(body, model, "image_edit", completion, client, links, clock, context, cancellationToken);
    }

    private static async Task<IResult> Vary(DalleClient client, PictureLinks links, TimeProvider clock, HttpContext context, CancellationToken cancellationToken)
    {
        var (body, files) = await ImageForm.Read(context, HttpJson.Api.ImageVariationRequest, cancellationToken);
        body.Check();
        var picture = Picture(files.GetValueOrDefault("image") ?? PictureFiles.Of(body.Image, "image"));
        var model = await client.GetModel(body.Model, cancellationToken);
        var completion = await Task.Run(() => new PictureFiles(picture, Mask: null).Fit(model), cancellationToken);
        return await Draw(
            body, model, "image_generation", completion with { Share = body.Share ?? PictureToComplete.UsualShare }, client, links, clock, context, cancellationToken);
    }

    private static FileStreamHttpResult Fetch(string name, PictureLinks links, HttpContext context)
    {
        if (links.Find(name) is not var (file, format))
        {
            throw new ApiException(ErrorAnswers.Refusal(StatusCodes.Status404NotFound, "There is no such picture, or not any more.", null, "not_found"));
        }

        context.Response.Headers.CacheControl = "private, max-age=3600, immutable";
        return TypedResults.Stream(file, format switch { PictureFormat.Jpeg => "image/jpeg", PictureFormat.WebP => "image/webp", _ => "image/png" });
    }

    private static async Task<IResult> Draw(
        ImageRequest body, ModelManifest model, string kind, PictureToComplete? completion, DalleClient client, PictureLinks links, TimeProvider clock, HttpContext context,
        CancellationToken cancellationToken)
    {
        var request = body.ToGenerationRequest((ulong)RandomNumberGenerator.GetInt32(int.MaxValue), context.User.FindFirst(ClaimTypes.NameIdentifier)?.Value) with { Completion = completion };
        request.Validate();
        await RequireRoom(model, context.RequestServices);
        var drawing = new Drawing(request, kind, body.Output(model), clock.GetUtcNow().ToUnixTimeSeconds());

        // The session bears the request's id, which only this client is told.
        IAsyncEnumerable<GenerationEvent> Events(CancellationToken token) => client.Generate(context.TraceIdentifier, request, 0, token);
        return body.Stream == true
            ? new EventStream(token => drawing.Narrate(Events(token), token))
            : TypedResults.Ok(await drawing.Collect(Events(cancellationToken), body.AsUrl ? Link : null));

        string Link(ReadOnlyMemory<byte> file) =>
            $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}{PictureLinks.Route}/{links.Keep(file, drawing.Output.Format)}";
    }

    /// <summary>Refuses a request before a session is begun for it, where no generator would take it.</summary>
    /// <exception cref="OverloadedException">None would.</exception>
    private static async Task RequireRoom(ModelManifest model, IServiceProvider services)
    {
        if (await services.GetRequiredService<GeneratorDirectory>().FindWait(model) is { } retryAfter)
        {
            services.GetRequiredService<GenerationInstruments>().OnRejected();
            throw new OverloadedException("As many requests are waiting as the generators take.", retryAfter);
        }
    }

    private static byte[] Picture(byte[]? file) => file ?? throw ApiException.Missing("image", "a picture file");
}
