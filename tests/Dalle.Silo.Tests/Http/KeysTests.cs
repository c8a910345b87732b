using System.Net;
using System.Text;
using System.Text.Json;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Dalle.Silo.Storage;
using Dalle.Workers.Devices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Tests.Http;

public sealed class KeysTests(KeyedSilo keyed) : IClassFixture<KeyedSilo>
{
    private const string Draw = """{ "model": "circles", "prompt": "a red circle" }""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Key_IsShownOnce_Listed_AndRevoked()
    {
        var made = await keyed.MakeKey("train", """, "expires_at": 4102444800, "requests_per_minute": 60, "concurrent_requests": 2""");
        var text = made.GetProperty("key").GetString()!;
        var id = made.GetProperty("id").GetString()!;

        var listed = await HttpSilo.Read(await Send(HttpMethod.Get, "/v1/keys", KeyedSilo.Admin));
        var served = await Send(HttpMethod.Get, "/v1/jobs", text);
        var revoked = await HttpSilo.Read(await Send(HttpMethod.Delete, $"/v1/keys/{id}", KeyedSilo.Admin));
        var refused = await Error(HttpMethod.Get, "/v1/jobs", text, HttpStatusCode.Unauthorized);
        var gone = await Error(HttpMethod.Delete, $"/v1/keys/{id}", KeyedSilo.Admin, HttpStatusCode.NotFound);

        Assert.Equal(ApiKeySecret.IdOf(text), id);
        var shown = listed.GetProperty("data").EnumerateArray().Single(key => Text(key, "id") == id);
        Assert.Equal(
            ("api_key", "train", "train", 4_102_444_800, 60, 2),
            (Text(shown, "object"), Text(shown, "name"), Assert.Single(shown.GetProperty("roles").EnumerateArray()).GetString(), shown.GetProperty("expires_at").GetInt64(),
                shown.GetProperty("requests_per_minute").GetInt32(), shown.GetProperty("concurrent_requests").GetInt32()));
        Assert.DoesNotContain(text[^64..], listed.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(ApiKeySecret.Hash(text), listed.ToString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        Assert.Equal((id, true), (Text(revoked, "id"), revoked.GetProperty("deleted").GetBoolean()));
        Assert.Equal(("invalid_request_error", "invalid_api_key", "The API key is not known here."), (Text(refused, "type"), Text(refused, "code"), Text(refused, "message")));
        Assert.Equal(("id", "key_not_found"), (Text(gone, "param"), Text(gone, "code")));
    }

    [Theory]
    [InlineData("generate", HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("train", HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.OK, HttpStatusCode.Forbidden)]
    [InlineData("admin", HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK)]
    public async Task Key_MayDoWhatItsRoleSays(string role, HttpStatusCode models, HttpStatusCode images, HttpStatusCode jobs, HttpStatusCode keys)
    {
        var key = await keyed.MakeKeyText(role);

        Assert.Equal(models, (await Send(HttpMethod.Get, "/v1/models", key)).StatusCode);
        Assert.Equal(images, (await Send(HttpMethod.Post, "/v1/images/generations", key, Draw)).StatusCode);
        Assert.Equal(jobs, (await Send(HttpMethod.Get, "/v1/jobs", key)).StatusCode);
        Assert.Equal(keys, (await Send(HttpMethod.Get, "/v1/keys", key)).StatusCode);
    }

    [Fact]
    public async Task Key_WithoutTheRole_IsToldWhichItTakes()
    {
        var error = await Error(HttpMethod.Get, "/v1/jobs", await keyed.MakeKeyText("generate"), HttpStatusCode.Forbidden);

        Assert.Equal(
            ("invalid_request_error", "insufficient_permissions", "The API key may not do this: it takes the role train, and the key has generate."),
            (Text(error, "type"), Text(error, "code"), Text(error, "message")));
    }

    [Fact]
    public async Task Key_OnceItHasExpired_IsRefused()
    {
        await using var other = new KeyedSilo();
        await other.InitializeAsync();
        var key = await other.MakeKeyText("generate", $""", "expires_at": {TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeSeconds()}""");

        Assert.Equal(HttpStatusCode.OK, (await other.Silo.Send(HttpMethod.Get, "/v1/models", key)).StatusCode);
        other.Forward(TimeSpan.FromHours(2));
        var error = await HttpSilo.ReadError(await other.Silo.Send(HttpMethod.Get, "/v1/models", key), HttpStatusCode.Unauthorized);

        Assert.Equal(("invalid_api_key", "The API key 'generate' has expired; make a new one with 'dalle keys create'."), (Text(error, "code"), Text(error, "message")));
    }

    [Theory]
    [InlineData("""{ "roles": ["train"] }""", "name", "missing_required_parameter", "name: expected whose key it is, or what for, got nothing.")]
    [InlineData("""{ "name": "a b", "roles": ["train"] }""", "name", "invalid_value", "'a b' cannot be used as Name: expected 1 to 64 letters, digits, dots, dashes or underscores, not beginning with a dot.")]
    [InlineData("""{ "name": "a" }""", "roles", "invalid_value", "roles: expected one or more of generate, train, admin, each once, got none.")]
    [InlineData("""{ "name": "a", "roles": "train" }""", "roles", "invalid_value", "roles: expected a list, got something else.")]
    [InlineData("""{ "name": "a", "roles": ["train"], "expires_at": 5 }""", "expires_at", "invalid_value", "expires_at: expected a time to come, got 1970-01-01 00:00:05Z.")]
    [InlineData("""{ "name": "a", "roles": ["train"], "requests_per_minute": 0 }""", "requests_per_minute", "invalid_value", "requests_per_minute: expected 1 to 1000000, got 0.")]
    [InlineData("""{ "name": "a", "roles": ["train"], "colour": 1 }""", "colour", "unknown_parameter", "Unknown parameter: 'colour'.")]
    public async Task Key_AskedForWrongly_IsRefused_AndTheParameterNamed(string body, string parameter, string code, string message)
    {
        var error = await HttpSilo.ReadError(await Send(HttpMethod.Post, "/v1/keys", KeyedSilo.Admin, body), HttpStatusCode.BadRequest);

        Assert.Equal((parameter, code, message), (Text(error, "param"), Text(error, "code"), Text(error, "message")));
    }

    [Fact]
    public async Task Silo_OfThisMachineAlone_IsOpenUntilThereIsAKey_AndAgainOnceThereIsNone()
    {
        await using var open = new HttpSilo();
        await open.InitializeAsync();

        var made = await HttpSilo.Read(await open.Post("/v1/keys", """{ "name": "first", "roles": ["admin"] }"""), HttpStatusCode.Created);
        var text = made.GetProperty("key").GetString();

        Assert.Equal(HttpStatusCode.Unauthorized, (await open.Send(HttpMethod.Get, "/v1/models", key: null)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await open.Send(HttpMethod.Get, "/v1/models", text)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await open.Send(HttpMethod.Delete, $"/v1/keys/{Text(made, "id")}", text)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await open.Send(HttpMethod.Get, "/v1/models", key: null)).StatusCode);
    }

    [Fact(Timeout = 120_000)]
    public async Task Stream_WhoseKeyIsRevoked_EndsWithAnError()
    {
        await using var other = new KeyedSilo { Configure = options => options.Http.Heartbeat = TimeSpan.FromMilliseconds(50) };
        await other.InitializeAsync();
        var made = await other.MakeKey("generate");
        using var busy = new ManualResetEventSlim();
        var held = other.Silo.Services.GetRequiredService<DeviceThread>().Run(_ => busy.Wait(TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/images/generations")
        {
            Content = new StringContent("""{ "model": "circles", "prompt": "x", "stream": true }""", new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")),
        };
        request.Headers.Authorization = new("Bearer", Text(made, "key"));
        using var stream = await other.Silo.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);

        await HttpSilo.Read(await other.Silo.Send(HttpMethod.Delete, $"/v1/keys/{Text(made, "id")}", KeyedSilo.Admin));
        var ending = Assert.Single(await HttpSilo.Events(stream).ToListAsync(Token));
        busy.Set();
        await held;

        Assert.Equal("error", ending.EventType);
        Assert.Equal("invalid_api_key", Text(ending.Data.GetProperty("error"), "code"));
    }

    [Fact]
    public async Task Key_AtRest_IsAHash()
    {
        var text = await keyed.MakeKeyText("generate");

        var stored = await Stored();

        Assert.Contains(stored, value => Holds(value, ApiKeySecret.Hash(text)));
        Assert.DoesNotContain(stored, value => Holds(value, text[^64..]));
        foreach (var file in Directory.EnumerateFiles(keyed.Silo.Silo.DataFolder, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "silo.lock"))
        {
            await using var open = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var bytes = new MemoryStream();
            await open.CopyToAsync(bytes, Token);
            Assert.False(Holds(bytes.ToArray(), text[^64..]), $"{file} holds the key.");
        }
    }

    [Fact]
    public async Task OtherMachines_AreListenedToOnceThereIsAKey_AndNotBefore()
    {
        var folder = Directory.CreateTempSubdirectory("dalle-keys-").FullName;
        try
        {
            await using (var refused = Silo(folder, "192.0.2.1"))
            {
                var error = await Assert.ThrowsAsync<OptionsValidationException>(() => refused.StartAsync(Token));
                Assert.Equal(
                    "Dalle:Address: 192.0.2.1 can be reached from other machines, so clients must show a key, and there is none that is valid. Make one with 'dalle keys create', set one in DALLE_HTTP__APIKEY, or listen on 127.0.0.1.",
                    error.Message);
                await refused.StopAsync(Token);
            }

            await using (var here = Silo(folder, "127.0.0.1"))
            {
                await here.StartAsync(Token);
                await Client.DalleClient.For(here.Services).CreateKey(new() { Name = "first", Roles = [ApiRole.Generate] }, Token);
                await here.StopAsync(Token);
            }

            await using var everywhere = Silo(folder, "0.0.0.0");
            await everywhere.StartAsync(Token);
            using var http = new HttpClient();
            Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync(new Uri(new Uri(everywhere.Urls.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal)), "/v1/models"), Token)).StatusCode);
            await everywhere.StopAsync(Token);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Microsoft.AspNetCore.Builder.WebApplication Silo(string folder, string address) =>
        DalleSilo.Create(configure: options => (options.DataFolder, options.HttpPort, options.Address) = (folder, 0, address));

    private static string? Text(JsonElement json, string property) => json.GetProperty(property).GetString();

    private static bool Holds(byte[] bytes, string text) => bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)) >= 0 || bytes.AsSpan().IndexOf(Encoding.Unicode.GetBytes(text)) >= 0;

    private Task<HttpResponseMessage> Send(HttpMethod method, string path, string key, string? json = null) => keyed.Silo.Send(method, path, key, json);

    private async Task<JsonElement> Error(HttpMethod method, string path, string key, HttpStatusCode status) => await HttpSilo.ReadError(await Send(method, path, key), status);

    /// <summary>Everything in the cluster's store.</summary>
    private async Task<List<byte[]>> Stored()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(keyed.Silo.Services.GetRequiredService<ClusterStore>().Connection);
        var values = new List<byte[]>();
        await foreach (var key in connection.GetServers().Single().KeysAsync().WithCancellation(Token))
        {
            if (await connection.GetDatabase().KeyTypeAsync(key) == RedisType.Hash)
            {
                values.AddRange((await connection.GetDatabase().HashGetAllAsync(key)).Select(entry => (byte[])entry.Value!));
            }
        }

        return values;
    }
}
