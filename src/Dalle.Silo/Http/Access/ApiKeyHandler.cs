using System.Net.Http.Headers;
using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using Dalle.Contracts.Keys;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Access;

/// <summary>Marks pages for people: a browser asks them for the key and sends it as the password of HTTP's Basic scheme. Nothing that changes anything may be such a page.</summary>
internal sealed class OpenInBrowsers;

/// <summary>Knows who asks by the API key that they show, as <c>Authorization: Bearer KEY</c>. Where no key is needed whoever asks may do everything.</summary>
internal sealed class ApiKeyHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder, KeyRing keys)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "ApiKey";

    private static readonly ClaimsPrincipal Anyone = Principal(Enum.GetValues<ApiRole>());

    private bool IsForBrowsers => Context.GetEndpoint()?.Metadata.GetMetadata<OpenInBrowsers>() is not null;

    protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(
        Context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null ? AuthenticateResult.NoResult()
        : !keys.IsNeeded ? Success(Anyone)
        : Shown() is not { } text ? AuthenticateResult.NoResult()
        : keys.Find(text) is not { } key ? AuthenticateResult.Fail("The API key is not known here.")
        : keys.HasExpired(key) ? AuthenticateResult.Fail($"The API key '{key.Spec.Name}' has expired; make a new one with 'dalle keys create'.")
        : Recognise(key));

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var failure = (await HandleAuthenticateOnceSafeAsync()).Failure;
        Response.Headers.WWWAuthenticate = IsForBrowsers ? "Basic realm=\"dalle\", charset=\"UTF-8\"" : "Bearer";
        await ErrorWriter.Write(Context, ErrorAnswers.Refusal(
            StatusCodes.Status401Unauthorized, failure?.Message ?? "Expected the header 'Authorization: Bearer KEY' with an API key of this cluster.", null, "invalid_api_key"));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var roles = Context.User.FindAll(ClaimTypes.Role).Select(claim => claim.Value);
        return ErrorWriter.Write(Context, ErrorAnswers.Refusal(
            StatusCodes.Status403Forbidden, $"The API key may not do this: it takes the role {AccessPolicies.RoleFor(Context.GetEndpoint())}, and the key has {string.Join(", ", roles)}.", null, "insufficient_permissions"));
    }

    private static ClaimsPrincipal Principal(IEnumerable<ApiRole> roles, params IEnumerable<Claim> claims) =>
        new(new ClaimsIdentity([.. claims, .. roles.Select(role => new Claim(ClaimTypes.Role, AccessPolicies.NameOf(role)))], SchemeName));

    private AuthenticateResult Success(ClaimsPrincipal who) => AuthenticateResult.Success(new(who, Scheme.Name));

    private AuthenticateResult Recognise(ApiKey key)
    {
        Context.Features.Set(key);
        return Success(Principal(key.Spec.Roles, new Claim(ClaimTypes.NameIdentifier, key.Id), new Claim(ClaimTypes.Name, key.Spec.Name)));
    }

    private string? Shown() => !AuthenticationHeaderValue.TryParse(Request.Headers.Authorization, out var header) ? null
        : "Bearer".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase) ? header.Parameter
        : IsForBrowsers && "Basic".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase) ? Password(header.Parameter)
        : null;

    private static string? Password(string? credentials)
    {
        var bytes = new byte[credentials?.Length ?? 0];
        return Convert.TryFromBase64String(credentials ?? "", bytes, out var length) && Encoding.UTF8.GetString(bytes, 0, length) is var pair && pair.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon
            ? pair[(colon + 1)..]
            : null;
    }
}
