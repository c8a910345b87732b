using Dalle.Client;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Access;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Gates;
using Dalle.Silo.Http.Images;
using Dalle.Silo.Http.Jobs;
using Dalle.Silo.Http.Keys;
using Dalle.Silo.Http.Limits;
using Dalle.Silo.Http.Models;
using Dalle.Silo.Http.Streaming;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http;

/// <summary>Adds the HTTP API.</summary>
internal static class HttpHosting
{
    /// <summary>Time the storage has to show that it answers.</summary>
    private static readonly TimeSpan ReadinessTimeout = TimeSpan.FromSeconds(5);

    public static void AddDalleHttp(this IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(json => HttpJson.Configure(json.SerializerOptions));
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddSingleton<ErrorWriter>();
        services.AddExceptionHandler<ErrorWriter>();
        services.AddAccess();
        services.AddRequestLimits();
        services.AddStreamLimit();
        services.AddDalleOpenApi();
        services.AddSingleton(DalleClient.For);
        services.AddSingleton<NamedDatasets>();
        services.AddSingleton<PictureLinks>();
        services.AddHealthChecks().AddCheck<SiloHealthCheck>("silo", failureStatus: null, tags: [], ReadinessTimeout);
    }

    public static void MapDalleHttp(this WebApplication app)
    {
        app.UseMiddleware<RequestIds>();
        app.UseMiddleware<SecurityHeaders>();
        app.UseExceptionHandler(_ => { });
        app.UseStatusCodePages(page => ErrorWriter.Write(page.HttpContext, ErrorAnswers.Of(page.HttpContext.Response.StatusCode)));
        app.UseRouting();
        app.UseMiddleware<SameMachineGate>();
        app.UseAuthentication();

        // Whoever shows no key, or a wrong one, is limited too.
        app.UseRateLimiter();
        app.UseAuthorization();

        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous().DisableRateLimiting();
        app.MapHealthChecks("/health/ready").AllowAnonymous().DisableRateLimiting();
        app.MapPrometheusScrapingEndpoint("/metrics").RequiresLeaveForMetrics();
        app.MapOpenApi();
        app.MapPictureFiles();
        if (app.Services.GetRequiredService<IOptions<SiloOptions>>().Value.Http.Dashboard)
        {
            app.MapDalleDashboard();
        }

        var v1 = app.MapGroup("/v1").Refuses(StatusCodes.Status401Unauthorized, StatusCodes.Status429TooManyRequests);
        For(v1, ApiRole.Generate).MapImages();
        v1.MapModels();
        For(v1, ApiRole.Train).MapJobs();
        For(v1, ApiRole.Admin).MapKeys();
    }

    private static RouteGroupBuilder For(RouteGroupBuilder v1, ApiRole role) => v1.MapGroup("").Requires(role).Refuses(StatusCodes.Status403Forbidden);
}
