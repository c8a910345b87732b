using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Tests.Http;

public sealed class GatesTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private const string Key = "correct-horse-battery-staple";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/v1/models", HttpStatusCode.OK)]
    [InlineData("GET", "/v1/models/nobody", HttpStatusCode.NotFound)]
    [InlineData("GET", "/v1/nothing", HttpStatusCode.NotFound)]
    [InlineData("DELETE", "/v1/models", HttpStatusCode.MethodNotAllowed)]
    [InlineData("POST", "/v1/images/generations", HttpStatusCode.BadRequest)]
    [InlineData("GET", "/health/live", HttpStatusCode.OK)]
    public async Task EveryAnswer_BearsAnIdOfItsOwn_AndEveryRefusalOpenAisShape(string method, string path, HttpStatusCode status)
    {
        using var answer = await silo.Http.SendAsync(new(new(method), path), Token);
        using var another = await silo.Http.SendAsync(new(new(method), path), Token);

        Assert.Matches("^req_[0-9a-f]{32}$", answer.Headers.GetValues("x-request-id").Single());
        Assert.NotEqual(answer.Headers.GetValues("x-request-id"), another.Headers.GetValues("x-request-id"));
        Assert.Equal(status, answer.StatusCode);
        if (!answer.IsSuccessStatusCode)
        {
            Assert.Equal("invalid_request_error", (await HttpSilo.ReadError(answer, status)).GetProperty("type").GetString());
        }
    }

    /// <summary>Every operation that takes a body, as the API's description has them.</summary>
    [Fact]
    public async Task EveryBody_IsBounded()
    {
        var paths = (await HttpSilo.Read(await silo.Http.GetAsync("/openapi/v1.json", Token))).GetProperty("paths").EnumerateObject()
            .Where(path => path.Value.EnumerateObject().Any(operation => operation.Value.TryGetProperty("requestBody", out _))).Select(path => path.Name.Replace("{id}", "x", StringComparison.Ordinal)).ToList();

        Assert.Contains("/v1/keys", paths);
        foreach (var path in paths)
        {
            await BodyBeyondTheLimit_IsRefused(path);
        }
    }

    // The client waits for leave to send its body: a silo that refuses closes the connection, and a client in the middle of sending may then see no answer.
    private async Task BodyBeyondTheLimit_IsRefused(string path)
    {
        var takesPictures = path is "/v1/images/edits" or "/v1/images/variations";
        using var http = new HttpClient(new SocketsHttpHandler { Expect100ContinueTimeout = TimeSpan.FromMinutes(1) }) { BaseAddress = silo.Silo.Http };
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Headers = { ExpectContinue = true },
            Content = new StringContent($$"""{ "model": "circles", "prompt": "{{new string('x', takesPictures ? 48 << 20 : 2 << 20)}}" }""", new MediaTypeHeaderValue("application/json")),
        };

        var error = await HttpSilo.ReadError(await http.SendAsync(request, Token), HttpStatusCode.RequestEntityTooLarge);

        Assert.Equal("request_too_large", error.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("localhost", null, HttpStatusCode.OK)]
    [InlineData("[::1]:8080", null, HttpStatusCode.OK)]
    [InlineData("127.0.0.1", "http://localhost:3000", HttpStatusCode.OK)]
    [InlineData("127.0.0.1", "https://example.com", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1", "null", HttpStatusCode.Forbidden)]
    [InlineData("rebound.example.com", null, HttpStatusCode.Forbidden)]
    public async Task WithoutAKey_OnlyThisMachineIsServed(string host, string? origin, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Host = host } };
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        using var answer = await silo.Http.SendAsync(request, Token);

        Assert.Equal(status, answer.StatusCode);
    }

    [Fact]
    public async Task WithAKey_WhoShowsItIsServed_AndNoOneElse_AndItIsNeverLogged()
    {
        using var log = new RecordingLog();
        await using var keyed = new HttpSilo
        {
            Configure = options => options.Http.ApiKey = Key,
            ConfigureServices = log.Record,
        };
        await keyed.InitializeAsync();

        var models = await keyed.OpenAI(Key).GetOpenAIModelClient().GetModelsAsync(Token);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => keyed.OpenAI(Key + "r").GetOpenAIModelClient().GetModelsAsync(Token));
        var statuses = new List<(string, HttpStatusCode)>();
        foreach (var path in new[] { "/v1/models", "/v1/nothing", "/openapi/v1.json", "/health/live", "/health/ready" })
        {
            using var answer = await keyed.Http.GetAsync(path, Token);
            statuses.Add((path, answer.StatusCode));
        }

        using var other = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Host = "pictures.example.com", Authorization = new("Bearer", Key) } };
        using var basic = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Authorization = new AuthenticationHeaderValue("Basic", Key) } };

        Assert.Single(models.Value);
        Assert.Equal(401, refused.Status);
        Assert.Equal(
            [
                ("/v1/models", HttpStatusCode.Unauthorized), ("/v1/nothing", HttpStatusCode.Unauthorized), ("/openapi/v1.json", HttpStatusCode.Unauthorized),
                ("/health/live", HttpStatusCode.OK), ("/health/ready", HttpStatusCode.OK),
            ],
            statuses);
        Assert.Equal(HttpStatusCode.OK, (await keyed.Http.SendAsync(other, Token)).StatusCode);
        Assert.Equal("invalid_api_key", (await HttpSilo.ReadError(await keyed.Http.SendAsync(basic, Token), HttpStatusCode.Unauthorized)).GetProperty("code").GetString());
        var made = (await HttpSilo.Read(await keyed.Send(HttpMethod.Post, "/v1/keys", Key, """{ "name": "drawer", "roles": ["generate"] }"""), HttpStatusCode.Created)).GetProperty("key").GetString()!;
        Assert.Equal(HttpStatusCode.OK, (await keyed.Send(HttpMethod.Get, "/v1/models", made)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await keyed.Send(HttpMethod.Get, "/v1/jobs", made)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await keyed.Send(HttpMethod.Get, "/v1/models", made[..^1] + "x")).StatusCode);

        Assert.Contains(log.Lines, line => line.Contains("/v1/models", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains("correct-horse", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains(made[^64..^32], StringComparison.Ordinal));
    }

    [Fact]
    public void Silo_WithAKeyThatIsTooShort_IsNotBuilt()
    {
        var error = Assert.Throws<OptionsValidationException>(() => DalleSilo.Create(configure: options => options.Http.ApiKey = "short"));

        Assert.Equal("Dalle:Http:ApiKey: expected 16 to 256 visible ASCII characters without spaces.", error.Message);
    }

    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/v1/nothing")]
    [InlineData("/health/live")]
    [InlineData("/metrics")]
    [InlineData("/openapi/v1.json")]
    public async Task EveryAnswer_IsForNoPageAndKeptByNoOne_AndDoesNotSayWhatServes(string path)
    {
        using var answer = await silo.Http.GetAsync(path, Token);

        Assert.Equal(
            ["nosniff", "DENY", "no-referrer", "default-src 'none'; frame-ancestors 'none'"],
            new[] { "x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy" }.Select(name => answer.Headers.GetValues(name).Single()));
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.False(answer.Headers.Contains("server"));
    }
}
