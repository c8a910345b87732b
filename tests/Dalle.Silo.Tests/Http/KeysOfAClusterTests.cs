using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Tests.Hosting;

namespace Dalle.Silo.Tests.Http;

public sealed class KeysOfAClusterTests
{
    private const string Admin = "correct-horse-battery-staple";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 120_000)]
    public async Task Key_MadeAtOneSilo_IsTakenByTheOther_UntilItIsRevokedThere()
    {
        await using var first = Silo(join: null);
        await first.InitializeAsync();
        await using var second = Silo(SiloCard.Read(first.DataFolder)!.Join);
        await second.InitializeAsync();

        using var made = await Send(first, HttpMethod.Post, "/v1/keys", Admin, """{ "name": "anywhere", "roles": ["generate"] }""");
        var key = await made.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        var text = key.GetProperty("key").GetString()!;

        await Until(second, text, HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.OK, (await Send(first, HttpMethod.Get, "/v1/models", text)).StatusCode);

        Assert.Equal(HttpStatusCode.OK, (await Send(second, HttpMethod.Delete, $"/v1/keys/{key.GetProperty("id").GetString()}", Admin)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await Send(second, HttpMethod.Get, "/v1/models", text)).StatusCode);
        await Until(first, text, HttpStatusCode.Unauthorized);
    }

    private static RunningSilo Silo(string? join) => new()
    {
        Configure = options => (options.ClusterSecret, options.Join, options.Http.ApiKey, options.Http.RequestsPerMinute) = ("known-to-the-test-alone", join, Admin, 1_000_000),
    };

    /// <summary>Asks until the silo has heard of the change.</summary>
    private static async Task Until(RunningSilo silo, string key, HttpStatusCode status)
    {
        while ((await Send(silo, HttpMethod.Get, "/v1/models", key)).StatusCode != status)
        {
            Token.ThrowIfCancellationRequested();
        }
    }

    private static async Task<HttpResponseMessage> Send(RunningSilo silo, HttpMethod method, string path, string key, string? json = null)
    {
        using var http = new HttpClient { BaseAddress = silo.Http };
        using var request = new HttpRequestMessage(method, path) { Headers = { Authorization = new("Bearer", key) }, Content = json is null ? null : new StringContent(json, null, "application/json") };
        return await http.SendAsync(request, Token);
    }
}
