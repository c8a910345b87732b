using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Dalle.Silo.Http.Errors;

/// <summary>Declares an endpoint's errors.</summary>
internal static class ErrorConventions
{
    public static TBuilder Refuses<TBuilder>(this TBuilder endpoint, params int[] statuses)
        where TBuilder : IEndpointConventionBuilder =>
        endpoint.WithMetadata([.. statuses.Select(status => new ProducesResponseTypeMetadata(status, typeof(ApiErrorBody), ["application/json"]))]);
}
