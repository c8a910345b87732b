using System.Net;
using Dalle.Silo.Http.Access;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;

namespace Dalle.Silo.Http.Gates;

/// <summary>
/// Where no API key is needed only programs of this machine are served, and pages of this machine: a web page from elsewhere, open in a browser here, could
/// otherwise start and cancel jobs, or give its own name this machine's address. Health checks are for everyone.
/// </summary>
internal sealed class SameMachineGate(RequestDelegate next, KeyRing keys)
{
    public Task Invoke(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null || keys.IsNeeded || IsHere(context.Request)
            ? next(context)
            : ErrorWriter.Write(context, ErrorAnswers.Refusal(
                StatusCodes.Status403Forbidden,
                $"A silo without API keys serves only this machine's programs, by a name such as localhost. Make a key with 'dalle keys create', or set {HttpOptions.ApiKeySetting}, to serve others.",
                null,
                "not_this_machine"));

    /// <summary>Whether a request is for this machine by one of its own names, and not from another's page.</summary>
    public static bool IsHere(HttpRequest request) => IsHere(request.Host.Host) && IsHere(request.Headers.Origin.ToString());

    private static bool IsHere(string origin)
    {
        if (origin.Length == 0)
        {
            return true;
        }

        var host = Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Host.Length > 0 ? uri.Host : origin;
        return "localhost".Equals(host, StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
    }
}
