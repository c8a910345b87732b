using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Gates;

/// <summary>Lets through who shows the API key, if there is one. Health checks are for everyone.</summary>
internal sealed class ApiKeyGate(RequestDelegate next, IOptions<SiloOptions> options)
{
    private readonly byte[]? _hash = options.Value.Http.ApiKey is { } key ? Hash(key) : null;

    public Task Invoke(HttpContext context)
    {
        if (_hash is null || context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null)
        {
            return next(context);
        }

        var shown = AuthenticationHeaderValue.TryParse(context.Request.Headers.Authorization, out var header)
            && "Bearer".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase) ? header.Parameter : null;

        // Hashes have one length, so the comparison takes the same time whatever was shown.
        if (CryptographicOperations.FixedTimeEquals(_hash, Hash(shown ?? "")))
        {
            return next(context);
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return ErrorWriter.Write(context, ErrorAnswers.Refusal(
            StatusCodes.Status401Unauthorized,
            shown is null ? "Expected the header 'Authorization: Bearer KEY' with this silo's API key." : "The API key is not this silo's.",
            null,
            "invalid_api_key"));
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
