using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dalle.Data.Pictures;
using Json.Schema;

namespace Dalle.Silo.Tests.Http;

/// <summary>Answers have the fields that OpenAI's API has, of the same kinds: openai.schema.json.</summary>
public sealed class OpenAiSchemaTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private const string Common = """ "model": "circles", "prompt": "a red circle", "seed": 1 """;

    private static readonly string Schemas = File.ReadAllText(Path.Combine(Folder(), "openai.schema.json"));

    private static CancellationToken Token => HttpSilo.Token;

    [Theory]
    [InlineData("generations", "\"n\": 2")]
    [InlineData("generations", "\"response_format\": \"url\"")]
    [InlineData("generations", "\"output_format\": \"webp\", \"candidates\": 3")]
    [InlineData("edits", "\"image\": \"PICTURE\"")]
    public async Task Answer_IsOfTheSchema(string endpoint, string more) =>
        Check("images", await HttpSilo.Read(await silo.Post($"/v1/images/{endpoint}", Body(more))));

    [Fact]
    public async Task Variations_AreOfTheSchema()
    {
        using var form = new MultipartFormDataContent { { new StringContent(HttpSilo.Model), "model" }, { new ByteArrayContent(Picture()), "image", "picture.png" } };

        Check("images", await HttpSilo.Read(await silo.Http.PostAsync("/v1/images/variations", form, Token)));
    }

    [Theory]
    [InlineData("generations", "image_generation", "\"n\": 2")]
    [InlineData("edits", "image_edit", "\"image\": \"PICTURE\"")]
    public async Task Stream_IsOfTheSchema(string endpoint, string kind, string more)
    {
        using var response = await silo.Open(HttpMethod.Post, $"/v1/images/{endpoint}", Body($"{more}, \"stream\": true, \"partial_images\": 2"));
        var events = await HttpSilo.Events(response).ToListAsync(Token);

        Assert.Equal([$"{kind}.completed", $"{kind}.partial_image"], events.Select(item => item.EventType).Distinct().Order());
        Assert.All(events, item => Check(item.EventType, item.Data));
    }

    [Fact]
    public async Task Models_AreOfTheSchema()
    {
        Check("models", await HttpSilo.Read(await silo.Http.GetAsync("/v1/models", Token)));
        Check("model", await HttpSilo.Read(await silo.Http.GetAsync($"/v1/models/{HttpSilo.Model}", Token)));
    }

    [Theory]
    [InlineData("/v1/images/generations", """{ "model": "circles" }""", HttpStatusCode.BadRequest)]
    [InlineData("/v1/images/generations", """{ "model": "nobody", "prompt": "x" }""", HttpStatusCode.NotFound)]
    [InlineData("/v1/images/generations", "no json", HttpStatusCode.BadRequest)]
    [InlineData("/v1/nowhere", "{}", HttpStatusCode.NotFound)]
    public async Task Error_IsOfTheSchema(string path, string body, HttpStatusCode status) => Check("error", await HttpSilo.Read(await silo.Post(path, body), status));

    [Theory]
    [InlineData("image_generation.completed", """{ "type": "image_generation.completed" }""")]
    [InlineData("error", """{ "error": { "message": "x", "type": "x", "param": null } }""")]
    [InlineData("models", """{ "object": "list", "data": [{ "id": "x", "object": "model", "created": "today", "owned_by": "x" }] }""")]
    public void Schema_RefusesWhatLacksAField(string name, string json) => Assert.False(Evaluate(name, JsonElement.Parse(json)).IsValid);

    private static void Check(string name, JsonElement answer)
    {
        var results = Evaluate(name, answer);
        Assert.True(results.IsValid, $"{answer} is not of schema '{name}': {JsonSerializer.Serialize(results)}");
    }

    private static EvaluationResults Evaluate(string name, JsonElement answer)
    {
        var schema = JsonNode.Parse(Schemas)!.AsObject();
        schema["$ref"] = $"#/$defs/{name}";
        return JsonSchema.FromText(schema.ToJsonString()).Evaluate(answer, new EvaluationOptions { OutputFormat = OutputFormat.List });
    }

    private static string Body(string more) => $"{{ {Common}, {more.Replace("PICTURE", $"data:image/png;base64,{Convert.ToBase64String(Picture())}", StringComparison.Ordinal)} }}";

    private static byte[] Picture() => PngEncoder.Encode(new(32, 32, new byte[32 * 32 * 3]));

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
