using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Dalle.Client;

namespace Dalle.Silo.Tests.Http;

/// <summary>What operators look at: metrics and the dashboard.</summary>
public sealed class OperatorPagesTests(KeyedSilo keyed) : IClassFixture<KeyedSilo>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Metrics_HaveThisSystems_Orleans_TheServers_AndNets()
    {
        var client = DalleClient.For(keyed.Silo.Services);
        var job = await client.Submit(new() { Preset = "test", Dataset = "scenes", Model = "measured", DiscreteVaeUpdates = 3, PriorUpdates = 3, ThreadsPerWorker = 1 }, Token);
        await foreach (var _ in client.Watch(job, cancellationToken: Token))
        {
        }

        (await keyed.Silo.Send(HttpMethod.Get, "/v1/models", KeyedSilo.Admin)).EnsureSuccessStatusCode();
        var text = await (await keyed.Silo.Send(HttpMethod.Get, "/metrics", key: null)).Content.ReadAsStringAsync(Token);

        Assert.All(["dalle_training_update_duration", "orleans_", "http_server_request_duration", "dotnet_gc_collections"], name => Assert.Contains($"\n{name}", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Metrics_OfASiloThatOthersReach_TakeAnAdmin_UnlessItIsToldOtherwise()
    {
        await using var reachable = new KeyedSilo { Configure = options => options.Address = "0.0.0.0" };
        await reachable.InitializeAsync();
        await using var open = new KeyedSilo { Configure = options => (options.Address, options.Http.OpenMetrics) = ("0.0.0.0", true) };
        await open.InitializeAsync();
        using var elsewhere = new HttpRequestMessage(HttpMethod.Get, "/metrics") { Headers = { Host = "pictures.example.com" } };

        Assert.Equal(HttpStatusCode.Unauthorized, await Get(reachable, "/metrics", key: null));
        Assert.Equal(HttpStatusCode.Forbidden, await Get(reachable, "/metrics", await reachable.MakeKeyText("generate")));
        Assert.Equal(HttpStatusCode.OK, await Get(reachable, "/metrics", KeyedSilo.Admin));
        Assert.Equal(HttpStatusCode.OK, await Get(open, "/metrics", key: null));
        Assert.Equal(HttpStatusCode.OK, await Get(keyed, "/metrics", key: null));
        Assert.Equal(HttpStatusCode.Unauthorized, (await keyed.Silo.Http.SendAsync(elsewhere, Token)).StatusCode);
    }

    [Fact]
    public async Task Dashboard_IsForAdmins_WhoseBrowserSendsTheKeyAsAPassword()
    {
        var other = await keyed.MakeKeyText("generate");
        using var asked = await keyed.Silo.Send(HttpMethod.Get, "/dashboard/", key: null);
        using var page = await Browse("/dashboard/", KeyedSilo.Admin);
        using var counters = await Browse("/dashboard/DashboardCounters", KeyedSilo.Admin);

        Assert.Equal((HttpStatusCode.Unauthorized, "Basic"), (asked.StatusCode, asked.Headers.WwwAuthenticate.Single().Scheme));
        Assert.Equal("invalid_api_key", (await HttpSilo.ReadError(asked, HttpStatusCode.Unauthorized)).GetProperty("code").GetString());
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType?.MediaType));
        Assert.Contains("frame-ancestors 'none'", page.Headers.GetValues("content-security-policy").Single(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, counters.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await Browse("/dashboard/", other)).StatusCode);
        foreach (var path in new[] { "/dashboard", "/dashboard/index.min.js", "/dashboard/DashboardCounters", "/dashboard/ClusterStats", "/dashboard/GrainState", "/dashboard/Trace", "/dashboard/nothing" })
        {
            Assert.Equal((path, HttpStatusCode.Unauthorized), (path, await Get(keyed, path, key: null)));
            Assert.Equal((path, HttpStatusCode.Unauthorized), (path, (await Browse(path, "wrong")).StatusCode));
        }

        // A password is for pages only: nothing that a page from elsewhere could have a browser do takes one.
        Assert.Equal(HttpStatusCode.Unauthorized, (await Browse("/v1/models", KeyedSilo.Admin)).StatusCode);
    }

    [Fact]
    public async Task Dashboard_CanBeLeftOut()
    {
        await using var without = new KeyedSilo { Configure = options => options.Http.Dashboard = false };
        await without.InitializeAsync();

        Assert.Equal(HttpStatusCode.NotFound, await Get(without, "/dashboard", KeyedSilo.Admin));
    }

    private static async Task<HttpStatusCode> Get(KeyedSilo silo, string path, string? key) => (await silo.Silo.Send(HttpMethod.Get, path, key)).StatusCode;

    private Task<HttpResponseMessage> Browse(string path, string password)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"me:{password}")));
        return keyed.Silo.Http.SendAsync(request, Token);
    }
}
