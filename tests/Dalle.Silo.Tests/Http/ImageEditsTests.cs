using System.Net;
using System.Text.Json;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using OpenAI.Images;
using SkiaSharp;

namespace Dalle.Silo.Tests.Http;

/// <summary>Completions and variations. The test model draws 32 pixels as 4 x 4 tokens.</summary>
public sealed class ImageEditsTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private const string Edits = "/v1/images/edits", Variations = "/v1/images/variations";

    private static readonly byte[] Photo = Picture(60, 40), UpperHalfKept = Hole(60, 40, (_, y) => y >= 20);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAiClient_CompletesAPicture_ByItsMask()
    {
        var answer = await silo.OpenAI().GetImageClient(HttpSilo.Model).GenerateImageEditsAsync(
            new MemoryStream(Photo), "photo.png", "a red circle", new MemoryStream(UpperHalfKept), "mask.png", 2, new() { ResponseFormat = GeneratedImageFormat.Bytes }, Token);

        var raw = JsonElement.Parse(answer.GetRawResponse().Content);
        Assert.Equal(16, raw.GetProperty("usage").GetProperty("input_tokens_details").GetProperty("image_tokens").GetInt32());
        var tokens = await Tokens(new() { Picture = Square(Photo), Mask = Square(UpperHalfKept) }, raw.GetProperty("seed").GetUInt64(), candidates: 2);
        Assert.Equal(tokens.Select(picture => picture.Png.ToArray()), answer.Value.Select(picture => picture.ImageBytes.ToArray()));
        Assert.Equal(tokens[0].Tokens.Take(8), tokens[1].Tokens.Take(8));
        Assert.NotEqual(tokens[0].Tokens, tokens[1].Tokens);
    }

    [Fact]
    public async Task OpenAiClient_VariesAPicture()
    {
        var answer = await silo.OpenAI().GetImageClient(HttpSilo.Model).GenerateImageVariationsAsync(
            new MemoryStream(Photo), "photo.png", 2, new() { ResponseFormat = GeneratedImageFormat.Bytes }, Token);

        var seed = JsonElement.Parse(answer.GetRawResponse().Content).GetProperty("seed").GetUInt64();
        var expected = await Tokens(new() { Picture = Square(Photo), Share = 0.5 }, seed, candidates: 2, prompt: "");
        Assert.Equal(expected.Select(picture => picture.Png.ToArray()), answer.Value.Select(picture => picture.ImageBytes.ToArray()));
    }

    [Fact]
    public async Task Json_WithDataUrls_GivesWhatTheFormGives()
    {
        var (photo, mask) = (Convert.ToBase64String(Photo), Convert.ToBase64String(UpperHalfKept));
        var json = await HttpSilo.Read(await silo.Post(Edits, $$"""
            {
              "model": "circles", "prompt": "a red circle", "seed": 4, "top_k": 9,
              "images": [{ "image_url": "data:image/png;base64,{{photo}}" }], "mask": { "image_url": "data:image/png;base64,{{mask}}" }
            }
            """));
        var form = await HttpSilo.Read(await PostForm(Edits, [("model", "circles"), ("prompt", "a red circle"), ("seed", "4"), ("top_k", "9")], [("image[]", Photo), ("mask", UpperHalfKept)]));
        var own = await HttpSilo.Read(await PostForm(Edits, [("model", "circles"), ("prompt", "a red circle"), ("seed", "4"), ("top_k", "9")], [("image", Hole(60, 40, (_, y) => y >= 20))]));

        Assert.Equal(Text(json.GetProperty("data")[0], "b64_json"), Text(form.GetProperty("data")[0], "b64_json"));
        Assert.Equal(16, own.GetProperty("usage").GetProperty("output_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_OfAnEdit_HasItsOwnEvents()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Edits)
        {
            Content = Form([("model", "circles"), ("prompt", "x"), ("stream", "true"), ("partial_images", "1")], [("image", Photo)]),
        };
        using var response = await silo.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);

        var types = await HttpSilo.Events(response).Select(item => (item.EventType, Text(item.Data, "type"))).ToListAsync(Token);

        Assert.Equal([("image_edit.partial_image", "image_edit.partial_image"), ("image_edit.completed", "image_edit.completed")], types);
    }

    [Theory]
    [InlineData("prompt", "prompt", "")]
    [InlineData("sede", "sede", "1")]
    [InlineData("n", "n", "many")]
    [InlineData("image", "image", "https://example.org/cat.png")]
    public async Task BadField_IsRefused_AndNamed(string parameter, string name, string value)
    {
        var fields = new Dictionary<string, string> { ["model"] = "circles", ["prompt"] = "x", [name] = value };

        var error = await HttpSilo.ReadError(
            await PostForm(Edits, [.. fields.Select(field => (field.Key, field.Value))], name == "image" ? [] : [("image", Photo)]), HttpStatusCode.BadRequest);

        Assert.Equal(parameter, Text(error, "param"));
    }

    [Fact]
    public async Task BadFiles_AreRefused_AndNamed()
    {
        (string, string)[] fields = [("model", "circles"), ("prompt", "x")];
        Assert.Equal("image", await Refused());
        Assert.Equal("image", await Refused(("image", [1, 2, 3])));
        Assert.Equal("image", await Refused(("image", [])));
        Assert.Equal("image", await Refused(("image[]", Photo), ("image[]", Photo)));
        Assert.Equal("mask", await Refused(("image", Photo), ("mask", Hole(60, 41, (_, _) => true))));
        Assert.Equal("mask", await Refused(("image", Photo), ("mask", Photo)));
        Assert.Equal("picture", await Refused(("image", Photo), ("picture", Photo)));

        async Task<string> Refused(params (string Name, byte[] File)[] files) =>
            Text(await HttpSilo.ReadError(await PostForm(Edits, fields, files), HttpStatusCode.BadRequest), "param");
    }

    [Fact]
    public async Task BodyOfAnotherType_IsRefused()
    {
        using var body = new StringContent("model=circles");

        Assert.Equal("unsupported_media_type", Text(await HttpSilo.ReadError(await silo.Http.PostAsync(Variations, body, Token), HttpStatusCode.UnsupportedMediaType), "code"));
    }

    private static string Text(JsonElement element, string property) => element.GetProperty(property).GetString()!;

    private static byte[] Square(byte[] file) => SquarePicture.Read(file, size: 32).Png;

    private static byte[] Picture(int width, int height)
    {
        var colours = new byte[width * height * 3];
        new Random(1).NextBytes(colours);
        return PngEncoder.Encode(new(width, height, colours));
    }

    private static byte[] Hole(int width, int height, Func<int, int, bool> isTransparent)
    {
        using var bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        for (var i = 0; i < width * height; i++)
        {
            bitmap.SetPixel(i % width, i / width, isTransparent(i % width, i / width) ? SKColors.Transparent : SKColors.Orange);
        }

        using var png = bitmap.Encode(SKEncodedImageFormat.Png, quality: 100);
        return png.ToArray();
    }

    private static MultipartFormDataContent Form((string Name, string Value)[] fields, (string Name, byte[] File)[] files)
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, value) in fields)
        {
            form.Add(new StringContent(value), name);
        }

        foreach (var (name, file) in files)
        {
            form.Add(new ByteArrayContent(file), name, "file.png");
        }

        return form;
    }

    private Task<HttpResponseMessage> PostForm(string path, (string Name, string Value)[] fields, (string Name, byte[] File)[] files) =>
        silo.Http.PostAsync(path, Form(fields, files), Token);

    private async Task<IReadOnlyList<PictureCompleted>> Tokens(PictureToComplete completion, ulong seed, int candidates, string prompt = "a red circle") =>
        [.. (await silo.Draw(new() { Model = HttpSilo.Model, Prompt = prompt, Candidates = candidates, Seed = seed, Completion = completion })).OfType<PictureCompleted>()];
}
