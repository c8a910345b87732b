using Dalle.Contracts.Keys;
using Dalle.Silo.Http.Access;
using Dalle.Silo.Http.Gates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Orleans.Dashboard;

namespace Dalle.Silo.Http;

/// <summary><c>/dashboard</c>: the Orleans Dashboard, for admins.</summary>
internal static class DashboardPages
{
    /// <summary>It brings its scripts, fonts and pictures along; its charts and tables set styles of their own.</summary>
    private static readonly ContentPolicy Policy = new("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'");

    public static void MapDalleDashboard(this IEndpointRouteBuilder app) =>
        app.MapOrleansDashboard("/dashboard").Requires(ApiRole.Admin).WithMetadata(new OpenInBrowsers(), Policy).ExcludeFromDescription();
}
