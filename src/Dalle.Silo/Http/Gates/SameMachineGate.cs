using System.Net;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Gates;

/// <summary>
/// Without an API key only programs of this machine are served, and pages of this machine: a web page from elsewhere, open in a browser here, could
/// otherwise start and cancel jobs, or give its own name this machine's address.
/// </summary>
internal sealed class SameMachineGate(RequestDelegate next, IOptions<SiloOptions> options)
{
    private readonly bool _open = options.Value.Http.ApiKey is not null;

    public Task Invoke(HttpContext context) => _open || (IsHere(context.Request.Host.Host) && IsHere(context.Request.Headers.Origin.ToString()))
        ? next(context)
        : ErrorWriter.Write(context, ErrorAnswers.Refusal(
            StatusCodes.Status403Forbidden,
            $"A silo without an API key serves only this machine's programs, by a name such as localhost. Set {HttpOptions.ApiKeySetting} to serve others.",
            null,
            "not_this_machine"));

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
