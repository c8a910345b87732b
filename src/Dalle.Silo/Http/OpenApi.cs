using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace Dalle.Silo.Http;

/// <summary>The API's description, at <c>/openapi/v1.json</c>.</summary>
internal static class OpenApi
{
    private const string Scheme = "apiKey";

    public static void AddDalleOpenApi(this IServiceCollection services) => services.AddOpenApi("v1", options => options.AddDocumentTransformer((document, _, _) =>
    {
        Describe(document);
        return Task.CompletedTask;
    }));

    private static void Describe(OpenApiDocument document)
    {
        document.Info = new()
        {
            Title = "Dalle.Orleans",
            Version = "v1",
            Description = "Train text-to-image models and draw with them. Images and models are OpenAI's API; jobs are this system's own.",
        };

        // Clients know the address they have this from.
        document.Servers = [];
        document.Components ??= new();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [Scheme] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "Needed if the silo has an API key (Dalle:Http:ApiKey)." },
        };
        document.Security = [new() { [new OpenApiSecuritySchemeReference(Scheme, document)] = [] }, []];
    }
}
