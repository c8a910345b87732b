using Dalle.Client;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Gates;
using Dalle.Silo.Http.Images;
using Dalle.Silo.Http.Jobs;
using Dalle.Silo.Http.Models;
using Dalle.Silo.Http.Streaming;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Dalle.Silo.Http;

/// <summary>Adds the HTTP API.</summary>
internal static class HttpHosting
{
    public static void AddDalleHttp(this IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(json => HttpJson.Configure(json.SerializerOptions));
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddSingleton<ErrorWriter>();
        services.AddExceptionHandler<ErrorWriter>();
        services.AddStreamLimit();
        services.AddDalleOpenApi();
        services.AddSingleton(DalleClient.For);
        services.AddSingleton<NamedDatasets>();
        services.AddSingleton<PictureLinks>();
        services.AddHealthChecks().AddCheck<SiloHealthCheck>("silo");
    }

    public static void MapDalleHttp(this WebApplication app)
    {
        app.UseMiddleware<RequestIds>();
        app.UseExceptionHandler(_ => { });
        app.UseStatusCodePages(page => ErrorWriter.Write(page.HttpContext, ErrorAnswers.Of(page.HttpContext.Response.StatusCode)));
        app.UseRouting();
        app.UseMiddleware<SameMachineGate>();
        app.UseMiddleware<ApiKeyGate>();
        app.UseRateLimiter();

        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous();
        app.MapHealthChecks("/health/ready").AllowAnonymous();
        app.MapOpenApi();
        app.MapPictureFiles();
        var v1 = app.MapGroup("/v1");
        v1.MapImages();
        v1.MapModels();
        v1.MapJobs();
    }
}
