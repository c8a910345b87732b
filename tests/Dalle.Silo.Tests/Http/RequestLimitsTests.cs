using System.Net;

namespace Dalle.Silo.Tests.Http;

/// <summary>What is refused for being too much. A limit of one or two a minute gives the next request in half a minute at the earliest: longer than a test asks.</summary>
public sealed class RequestLimitsTests
{
    private const string Models = "/v1/models";

    [Fact]
    public async Task Key_ThatHasSentItsMinutesRequests_Is429_AndToldWhenToComeAgain_AndOthersAreServed()
    {
        await using var keyed = new KeyedSilo();
        await keyed.InitializeAsync();
        var (limited, other) = (await keyed.MakeKeyText("generate", """, "requests_per_minute": 2"""), await keyed.MakeKeyText("generate"));

        Assert.Equal(HttpStatusCode.OK, await Get(keyed, limited));
        Assert.Equal(HttpStatusCode.OK, await Get(keyed, limited));
        using var refused = await keyed.Silo.Send(HttpMethod.Get, Models, limited);
        var error = await HttpSilo.ReadError(refused, HttpStatusCode.TooManyRequests);

        Assert.Equal(
            ("rate_limit_error", "rate_limit_exceeded", "The API key 'generate' has sent as many requests as it may in a minute, 2; retry-after says when the next may come."),
            (error.GetProperty("type").GetString(), error.GetProperty("code").GetString(), error.GetProperty("message").GetString()));
        Assert.Equal(("30", "30000"), (refused.Headers.GetValues("retry-after").Single(), refused.Headers.GetValues("retry-after-ms").Single()));
        Assert.StartsWith("req_", refused.Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await Get(keyed, other));
    }

    [Fact]
    public async Task CallersWithoutAKey_AreLimitedByAddress_AndSoAreWrongKeys()
    {
        await using var keyed = new KeyedSilo { Configure = options => options.Http.RequestsPerMinute = 1 };
        await keyed.InitializeAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, await Get(keyed, "wrong"));
        Assert.Equal(HttpStatusCode.TooManyRequests, await Get(keyed, "wrong as well"));
        Assert.Equal(HttpStatusCode.TooManyRequests, await Get(keyed, key: null));
        Assert.Equal(HttpStatusCode.OK, await Get(keyed, KeyedSilo.Admin));
        Assert.Equal(HttpStatusCode.TooManyRequests, await Get(keyed, KeyedSilo.Admin));
        Assert.Equal(HttpStatusCode.OK, (await keyed.Silo.Send(HttpMethod.Get, "/health/ready", key: null)).StatusCode);
    }

    private static async Task<HttpStatusCode> Get(KeyedSilo keyed, string? key) => (await keyed.Silo.Send(HttpMethod.Get, Models, key)).StatusCode;
}
