using System.Net;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Gates;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Access;

/// <summary>Who may use which endpoint: those of a role, or admins; and what declares nothing, anyone who has a key.</summary>
internal static class AccessPolicies
{
    private const string Metrics = "metrics";

    public static void AddAccess(this IServiceCollection services)
    {
        services.AddSingleton<KeyRing>();
        services.AddHostedService(provider => provider.GetRequiredService<KeyRing>());
        services.AddAuthentication(ApiKeyHandler.SchemeName).AddScheme<AuthenticationSchemeOptions, ApiKeyHandler>(ApiKeyHandler.SchemeName, null);
        services.AddAuthorization();
        services.AddOptions<AuthorizationOptions>().Configure<IOptions<SiloOptions>>((authorization, options) => Define(authorization, options.Value));
    }

    /// <summary>A role as policies, requests and answers name it.</summary>
    public static string NameOf(ApiRole role) => role.ToString().ToLowerInvariant();

    /// <summary>Leaves the endpoints to those of a role, and admins.</summary>
    public static TBuilder Requires<TBuilder>(this TBuilder endpoints, ApiRole role)
        where TBuilder : IEndpointConventionBuilder => endpoints.RequireAuthorization(NameOf(role));

    /// <summary>Leaves metrics to admins, and, if no other machine can ask or the silo is told to, to everyone.</summary>
    public static TBuilder RequiresLeaveForMetrics<TBuilder>(this TBuilder endpoints)
        where TBuilder : IEndpointConventionBuilder => endpoints.RequireAuthorization(Metrics);

    /// <summary>The role that an endpoint takes; null if any key will do.</summary>
    public static string? RoleFor(Endpoint? endpoint) =>
        endpoint?.Metadata.GetOrderedMetadata<IAuthorizeData>().Select(data => data.Policy).FirstOrDefault(policy => policy is not null) is { } policy
            ? policy == Metrics ? NameOf(ApiRole.Admin) : policy
            : null;

    private static void Define(AuthorizationOptions authorization, SiloOptions options)
    {
        authorization.FallbackPolicy = new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build();
        foreach (var role in Enum.GetValues<ApiRole>())
        {
            authorization.AddPolicy(NameOf(role), policy => policy.RequireRole(NameOf(role), NameOf(ApiRole.Admin)));
        }

        var here = IPAddress.IsLoopback(options.ListenAddress);
        authorization.AddPolicy(Metrics, policy => policy.RequireAssertion(asked =>
            options.Http.OpenMetrics || asked.User.IsInRole(NameOf(ApiRole.Admin)) || (here && asked.Resource is HttpContext context && SameMachineGate.IsHere(context.Request))));
    }
}
