using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Dalle.Client;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Silo.Hosting;
using Dalle.Silo.Tests.Hosting;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Microsoft.Extensions.DependencyInjection;
using OpenAI;

namespace Dalle.Silo.Tests.Http;

/// <summary>A running silo with a published model, as clients see it from outside.</summary>
public sealed class HttpSilo : IAsyncLifetime
{
    public const string Model = "circles";

    private RunningSilo? _silo;

    /// <summary>Settings beyond a running silo's.</summary>
    public Action<SiloOptions> Configure { get; init; } = _ => { };

    public Action<IServiceCollection> ConfigureServices { get; init; } = _ => { };

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public RunningSilo Silo => _silo!;

    public IServiceProvider Services => Silo.Services;

    /// <summary>Any HTTP client.</summary>
    public HttpClient Http { get; private set; } = new();

    /// <summary>What the same cluster gives without HTTP.</summary>
    public DalleClient Client => DalleClient.For(Services);

    public ModelManifest Manifest { get; private set; } = null!;

    /// <summary>OpenAI's own client.</summary>
    public OpenAIClient OpenAI(string key = "none") =>
        new(new ApiKeyCredential(key), new() { Endpoint = new Uri(Silo.Http, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    public async ValueTask InitializeAsync()
    {
        _silo = new RunningSilo { Configure = Configure, ConfigureServices = ConfigureServices };
        await _silo.InitializeAsync();
        Http = new HttpClient { BaseAddress = _silo.Http };
        Manifest = PublishedTestModel.Write(Services.GetRequiredService<ArtifactStore>(), Model, reranker: true);
        await Client.PublishModel(Manifest, Token);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Silo.DisposeAsync();
    }

    public Task<HttpResponseMessage> Post(string path, string json) => Http.PostAsync(path, Json(json), Token);

    /// <summary>A request by one who has a key.</summary>
    public async Task<HttpResponseMessage> Send(HttpMethod method, string path, string? key, string? json = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = json is null ? null : Json(json) };
        request.Headers.Authorization = key is null ? null : new("Bearer", key);
        return await Http.SendAsync(request, Token);
    }

    /// <summary>The answer, which must have this status, as JSON.</summary>
    public static async Task<JsonElement> Read(HttpResponseMessage response, HttpStatusCode status = HttpStatusCode.OK)
    {
        Assert.True(status == response.StatusCode, $"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(Token)}");
        return await response.Content.ReadFromJsonAsync<JsonElement>(Token);
    }

    /// <summary>The error of an answer, which must have this status.</summary>
    public static async Task<JsonElement> ReadError(HttpResponseMessage response, HttpStatusCode status) => (await Read(response, status)).GetProperty("error");

    /// <summary>A request whose answer is read while it comes.</summary>
    public Task<HttpResponseMessage> Open(HttpMethod method, string path, string? json = null, string? lastEventId = null)
    {
        var request = new HttpRequestMessage(method, path) { Content = json is null ? null : Json(json) };
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        return Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
    }

    public static async IAsyncEnumerable<SseItem<JsonElement>> Events(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var parser = SseParser.Create(await response.Content.ReadAsStreamAsync(Token), (_, data) => JsonElement.Parse(data));
        await foreach (var item in parser.EnumerateAsync(Token))
        {
            yield return item;
        }
    }

    /// <summary>The same pictures by way of the .NET client.</summary>
    public async Task<IReadOnlyList<GenerationEvent>> Draw(GenerationRequest request) => await Client.Generate(request, Token).ToListAsync(Token);

    private static StringContent Json(string json) => new(json, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
}
