using System.ClientModel;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Microsoft.Extensions.AI;
using OpenAI.Images;
using ImageGenerationOptions = OpenAI.Images.ImageGenerationOptions;

namespace Dalle.Silo.Tests.Http;

public sealed class ImagesTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private const string Path = "/v1/images/generations";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAiClient_GetsThePictures_ThatTheSeedItIsToldGivesAgain()
    {
        var options = new ImageGenerationOptions { Size = new GeneratedImageSize(32, 32), ResponseFormat = GeneratedImageFormat.Bytes };

        var answer = await silo.OpenAI().GetImageClient(HttpSilo.Model).GenerateImagesAsync("a red circle", 2, options, Token);
        var seed = JsonElement.Parse(answer.GetRawResponse().Content).GetProperty("seed").GetUInt64();

        Assert.Equal(await Pictures(new() { Model = HttpSilo.Model, Prompt = "a red circle", Candidates = 2, Seed = seed }), answer.Value.Select(image => image.ImageBytes.ToArray()));
        Assert.Equal(32, answer.Value.Usage.OutputTokenCount);
        Assert.True(answer.Value.Usage.InputTokenCount > 0);
        Assert.Equal(answer.Value.Usage.InputTokenCount + 32, answer.Value.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task Seed_GivesTheBytesOfTheClient_AndTheAnswerSaysHowItWasDrawn()
    {
        var answer = await HttpSilo.Read(await silo.Post(Path, """
            { "model": "circles", "prompt": "a blue square", "seed": 18446744073709551615, "temperature": 0.5, "top_k": 8, "user": "someone", "size": "auto" }
            """));

        var picture = answer.GetProperty("data")[0].GetProperty("b64_json").GetBytesFromBase64();
        var expected = new GenerationRequest { Model = HttpSilo.Model, Prompt = "a blue square", Seed = ulong.MaxValue, Temperature = 0.5, TopK = 8 };
        Assert.Equal(await Pictures(expected), [picture]);
        Assert.NotEqual(await Pictures(expected with { Seed = 1 }), [picture]);
        Assert.Equal(("32x32", "png", "circles"), (Text(answer, "size"), Text(answer, "output_format"), Text(answer, "model")));
        Assert.Equal(ulong.MaxValue, answer.GetProperty("seed").GetUInt64());
    }

    [Fact]
    public async Task Stream_SendsPartialImages_ThenEachPicture_WithTheBytesOfTheClient()
    {
        using var response = await silo.Open(
            HttpMethod.Post, Path, """{ "model": "circles", "prompt": "a green cross", "n": 2, "seed": 5, "stream": true, "partial_images": 3 }""");
        var events = await HttpSilo.Events(response).ToListAsync(Token);

        var drawn = await silo.Draw(new() { Model = HttpSilo.Model, Prompt = "a green cross", Candidates = 2, Seed = 5, PartialPictures = 3 });
        var partial = drawn.OfType<PartialPicture>().Select(item => (item.Candidate, item.Index, Convert.ToBase64String(item.Png.Span)));
        var whole = drawn.OfType<PictureCompleted>().Select(item => (item.Candidate, Convert.ToBase64String(item.Png.Span)));
        Assert.Equal(6, partial.Count());
        Assert.Equal(partial, events.Take(6).Select(item =>
        {
            Assert.Equal(("image_generation.partial_image", "image_generation.partial_image"), (item.EventType, Text(item.Data, "type")));
            return (item.Data.GetProperty("image_index").GetInt32(), item.Data.GetProperty("partial_image_index").GetInt32(), Text(item.Data, "b64_json"));
        }));
        Assert.Equal(whole, events.Skip(6).Select(item =>
        {
            Assert.Equal(("image_generation.completed", "image_generation.completed"), (item.EventType, Text(item.Data, "type")));
            Assert.Equal(16, item.Data.GetProperty("usage").GetProperty("output_tokens").GetInt32());
            return (item.Data.GetProperty("image_index").GetInt32(), Text(item.Data, "b64_json"));
        }));
    }

    [Fact]
    public async Task Stream_ByTheOpenAiClient_IsNotToBeRetriedOnceItHasBegun()
    {
        var body = BinaryContent.Create(BinaryData.FromString("""{ "model": "circles", "prompt": "a green cross", "seed": 5, "stream": true, "partial_images": 1 }"""));
        var answer = await silo.OpenAI().GetImageClient(HttpSilo.Model).GenerateImagesAsync(body, new() { BufferResponse = false, CancellationToken = Token });

        using var response = answer.GetRawResponse();
        Assert.True(response.Headers.TryGetValue("x-should-retry", out var retry));
        Assert.Equal("false", retry);
        var types = await SseParser.Create(response.ContentStream!, (type, data) => (type, Text(JsonElement.Parse(data), "type"))).EnumerateAsync(Token).Select(item => item.Data).ToListAsync(Token);
        Assert.Equal([("image_generation.partial_image", "image_generation.partial_image"), ("image_generation.completed", "image_generation.completed")], types);
    }

    [Theory]
    [InlineData("jpeg", PictureFormat.Jpeg)]
    [InlineData("webp", PictureFormat.WebP)]
    [InlineData("png", PictureFormat.Png)]
    public async Task OutputFormat_AndSize_AreTheFiles(string name, PictureFormat format)
    {
        var answer = await HttpSilo.Read(await silo.Post(Path, $$"""{ "model": "circles", "prompt": "x", "seed": 1, "output_format": "{{name}}", "size": "96x96" }"""));

        var file = answer.GetProperty("data")[0].GetProperty("b64_json").GetBytesFromBase64();
        Assert.Equal(format, PictureSignature.Of(file));
        Assert.Equal((96, 96), (PictureDecoder.Decode(file).Width, PictureDecoder.Decode(file).Height));
        Assert.Equal((name, "96x96"), (Text(answer, "output_format"), Text(answer, "size")));
    }

    [Fact]
    public async Task OutputCompression_MakesFilesSmaller()
    {
        var sizes = new List<int>();
        foreach (var quality in new[] { 10, 95 })
        {
            var answer = await HttpSilo.Read(await silo.Post(
                Path, $$"""{ "model": "circles", "prompt": "x", "seed": 1, "output_format": "jpeg", "size": "256x256", "output_compression": {{quality}} }"""));
            sizes.Add(answer.GetProperty("data")[0].GetProperty("b64_json").GetBytesFromBase64().Length);
        }

        Assert.True(sizes[0] < sizes[1], $"{sizes[0]} and {sizes[1]} bytes");
    }

    [Fact]
    public async Task Candidates_AreRanked_AndTheBestReturned_AlsoOnAStream()
    {
        const string Body = """ "model": "circles", "prompt": "a red circle", "seed": 3, "candidates": 5, "n": 2 """;
        var answer = await HttpSilo.Read(await silo.Post(Path, $"{{ {Body} }}"));
        var drawn = await silo.Draw(new() { Model = HttpSilo.Model, Prompt = "a red circle", Seed = 3, Candidates = 5, Keep = 2 });
        using var response = await silo.Open(HttpMethod.Post, Path, $$"""{ {{Body}}, "stream": true }""");
        var events = await HttpSilo.Events(response).Select(item => (Text(item.Data, "b64_json"), item.Data.GetProperty("score").GetDouble())).ToListAsync(Token);

        var best = drawn.OfType<PictureCompleted>().OrderByDescending(picture => picture.Score).Take(2).Select(picture => (Convert.ToBase64String(picture.Png.Span), picture.Score!.Value)).ToList();
        Assert.Equal(best, answer.GetProperty("data").EnumerateArray().Select(item => (Text(item, "b64_json"), item.GetProperty("score").GetDouble())));
        Assert.Equal(best, events);
        Assert.Equal(5 * 16, answer.GetProperty("usage").GetProperty("output_tokens").GetInt32());
    }

    [Fact]
    public async Task ImageGenerator_OfTheClient_DrawsAndCompletes()
    {
        var client = silo.Client;
        using var generator = new DalleImageGenerator(client, HttpSilo.Model);
        var options = new Microsoft.Extensions.AI.ImageGenerationOptions { Count = 2, AdditionalProperties = new() { ["seed"] = 7, ["candidates"] = 3 } };

        var drawn = await generator.GenerateAsync(new("a red circle"), options, Token);
        var original = (DataContent)drawn.Contents[0];
        var completed = await generator.GenerateAsync(new("a red circle", [original]), new() { AdditionalProperties = new() { ["seed"] = 7 } }, Token);

        Assert.Equal(2, drawn.Contents.Count);
        Assert.Equal("image/png", original.MediaType);
        Assert.Equal(3 * 16, drawn.Usage!.OutputTokenCount);
        Assert.Equal(drawn.Usage.InputTokenCount + 16, completed.Usage!.InputTokenCount);
        Assert.Equal("MediaType", (await Assert.ThrowsAsync<InvalidRequestException>(() => generator.GenerateAsync(new("x"), new() { MediaType = "image/jpeg" }, Token))).Parameter);
        Assert.Same(client, generator.GetService(typeof(DalleClient)));
    }

    [Fact]
    public async Task Url_GivesTheFile_UntilItIsGuessedWrong()
    {
        var answer = await silo.OpenAI().GetImageClient(HttpSilo.Model).GenerateImageAsync("a red circle", new() { ResponseFormat = GeneratedImageFormat.Uri }, Token);
        var seed = JsonElement.Parse(answer.GetRawResponse().Content).GetProperty("seed").GetUInt64();

        using var response = await silo.Http.GetAsync(answer.Value.ImageUri, Token);

        Assert.Equal("image/png", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal((await Pictures(new() { Model = HttpSilo.Model, Prompt = "a red circle", Seed = seed }))[0], await response.Content.ReadAsByteArrayAsync(Token));
        var address = answer.Value.ImageUri.ToString();
        foreach (var other in new[] { address.Replace(".png", ".jpg"), address[..^5] + "x.png", address.Replace("/files/", "/files/9"), address[..address.LastIndexOf('/')] + "/..%2F..%2Fmodel.json" })
        {
            Assert.Equal("not_found", Text(await HttpSilo.ReadError(await silo.Http.GetAsync(other, Token), HttpStatusCode.NotFound), "code"));
        }
    }

    [Theory]
    [InlineData("""{ "model": "circles" }""", "prompt", "prompt: expected what the pictures show, got nothing.")]
    [InlineData("""{ "prompt": "x" }""", "model", "model: expected the id of a model (GET /v1/models lists them), got nothing.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "n": 0 }""", "n", "n: expected 1 to 64, got 0.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "n": "two" }""", "n", "n: expected a whole number, got something else.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "seed": -1 }""", "seed", "seed: expected a whole number from 0 to 18446744073709551615, got something else.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "size": "1024x768" }""", "size", "size: expected auto or a square of 16x16 to 2048x2048 pixels, got '1024x768'.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "response_format": "url", "stream": true }""", "response_format", "response_format: expected b64_json with stream, got 'url'.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "output_format": "gif" }""", "output_format", "output_format: expected png, jpeg or webp, got 'gif'.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "output_compression": 50 }""", "output_compression", "output_compression: expected 100 for png files, which lose nothing, got 50.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "n": 3, "candidates": 2 }""", "candidates", "candidates: expected 3 to 64, at least n, got 2.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "max_wait": 0 }""", "max_wait", "max_wait: expected above 0, at most 3600 seconds, got 0.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "stream": true, "partial_images": 4 }""", "partial_images", "partial_images: expected 0 to 3, got 4.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "partial_images": 1 }""", "partial_images", "partial_images: expected 0 without stream, got 1.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "temperature": 0 }""", "temperature", "temperature: expected above 0, at most 100, got 0.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "top_p": 2, "stream": true }""", "top_p", "top_p: expected above 0, at most 1, got 2.")]
    [InlineData("""{ "model": "circles", "prompt": "x", "sede": 1 }""", "sede", "Unknown parameter: 'sede'.")]
    public async Task BadValue_IsRefused_AndTheParameterIsNamed(string body, string parameter, string message)
    {
        var error = await HttpSilo.ReadError(await silo.Post(Path, body), HttpStatusCode.BadRequest);

        Assert.Equal((parameter, message, "invalid_request_error"), (Text(error, "param"), Text(error, "message"), Text(error, "type")));
    }

    [Fact]
    public async Task PromptThatIsTooLongForTheModel_IsRefused_AlsoOnAStream()
    {
        var prompt = string.Join(' ', Enumerable.Repeat("hippopotamus", 60));

        foreach (var stream in new[] { "false", "true" })
        {
            var error = await HttpSilo.ReadError(
                await silo.Post(Path, $$"""{ "model": "circles", "prompt": "{{prompt}}", "stream": {{stream}} }"""), HttpStatusCode.BadRequest);

            Assert.Equal("prompt", Text(error, "param"));
            Assert.Contains("shorten it", Text(error, "message"), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("not json", HttpStatusCode.BadRequest, "invalid_json")]
    [InlineData("[]", HttpStatusCode.BadRequest, "invalid_json")]
    [InlineData("null", HttpStatusCode.BadRequest, "invalid_request")]
    [InlineData("", HttpStatusCode.BadRequest, "invalid_request")]
    public async Task BodyThatIsNoObject_IsRefused(string body, HttpStatusCode status, string code) =>
        Assert.Equal(code, Text(await HttpSilo.ReadError(await silo.Post(Path, body), status), "code"));

    [Fact]
    public async Task BodyOfAnotherType_IsRefused()
    {
        // A page from elsewhere may send such a body through a browser without asking.
        using var body = new StringContent("""{ "model": "circles", "prompt": "x" }""");

        var error = await HttpSilo.ReadError(await silo.Http.PostAsync(Path, body, Token), HttpStatusCode.UnsupportedMediaType);

        Assert.Equal("unsupported_media_type", Text(error, "code"));
    }

    [Fact]
    public async Task UnknownModel_Is404_AsOpenAiClientsExpectIt()
    {
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => silo.OpenAI().GetImageClient("nobody").GenerateImageAsync("x", cancellationToken: Token));
        var error = JsonElement.Parse(refused.GetRawResponse()!.Content).GetProperty("error");

        Assert.Equal(404, refused.Status);
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal(("invalid_request_error", "model", "model_not_found"), (Text(error, "type"), Text(error, "param"), Text(error, "code")));
        Assert.Contains("nobody", Text(error, "message"), StringComparison.Ordinal);
    }

    private async Task<IReadOnlyList<byte[]>> Pictures(GenerationRequest request) =>
        [.. (await silo.Draw(request)).OfType<PictureCompleted>().OrderBy(picture => picture.Candidate).Select(picture => picture.Png.ToArray())];

    private static string Text(JsonElement element, string property) => element.GetProperty(property).GetString()!;
}
