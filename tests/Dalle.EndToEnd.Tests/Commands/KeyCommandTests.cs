using System.Net;
using Dalle.Contracts.Cluster;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Commands;

/// <summary><c>dalle keys</c>, against a silo of its own.</summary>
public sealed class KeyCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Key_FromItsMakingToItsEnd_OverTheCommandLine()
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);

        var made = (await Run("keys", "create", "me", "--role", "generate", "--role", "train", "--days", "3", "--requests-per-minute", "60", "--json")).Json;
        var (id, key) = (made.GetProperty("id").GetString()!, made.GetProperty("key").GetString()!);
        var listed = Assert.Single((await Run("keys", "list", "--json")).Json.EnumerateArray());
        var second = (await Run("keys", "create", "other")).Output.Split('\n');
        var table = (await Run("keys", "list")).Output;

        Assert.Equal((id, "me", 60), (listed.GetProperty("id").GetString(), listed.GetProperty("spec").GetProperty("name").GetString(), listed.GetProperty("spec").GetProperty("requestsPerMinute").GetInt32()));
        Assert.Equal(["generate", "train"], listed.GetProperty("spec").GetProperty("roles").EnumerateArray().Select(role => role.GetString()));
        Assert.Matches("^dalle_[0-9a-f]{12}_[0-9a-f]{64}$", second[0]);
        Assert.EndsWith(" (other: generate) is shown this once; clients send it as 'Authorization: Bearer KEY'.", second[1], StringComparison.Ordinal);
        Assert.Contains(id, table, StringComparison.Ordinal);
        Assert.DoesNotContain(key[^64..], listed + table, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), (await Ask(key), await Ask(null)));

        // The key itself names it too: who has found one that has leaked need not look it up.
        Assert.Equal($"Key {id} is revoked.\n", (await Run("keys", "revoke", key)).Output);
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(key));
        var again = await DalleProcess.Run(["keys", "revoke", id, "--data-dir", _folder.FullName]);
        Assert.Equal((1, $"dalle: There is no key '{id}'.\n"), (again.ExitCode, again.Error));
    }

    public void Dispose() => _folder.Dispose();

    private async Task<HttpStatusCode> Ask(string? key)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(new Uri(SiloCard.Read(_folder.FullName)!.Http), "/v1/jobs"));
        request.Headers.Authorization = key is null ? null : new("Bearer", key);
        return (await http.SendAsync(request, Token)).StatusCode;
    }

    private async Task<DalleProcess.Result> Run(params string[] command)
    {
        var result = await DalleProcess.Run([.. command, "--data-dir", _folder.FullName]);
        Assert.True(result.ExitCode == 0, $"dalle {string.Join(' ', command)}: {result.ExitCode} {result.Error}");
        return result;
    }
}
