using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace Dalle.Silo.Http;

/// <summary>The API's description, at <c>/openapi/v1.json</c>.</summary>
internal static class OpenApi
{
    private const string Scheme = "apiKey";

    public static void AddDalleOpenApi(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.CreateSchemaReferenceId = type => IsFile(type.Type) ? null : OpenApiOptions.CreateDefaultSchemaReferenceId(type);
        options.AddSchemaTransformer((schema, context, _) =>
        {
            Complete(schema, context.JsonTypeInfo.Type);
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            Describe(document);
            return Task.CompletedTask;
        });
    });

    /// <summary>An operation that succeeds with an event stream may succeed with this too: the framework keeps one type for each status.</summary>
    public static TBuilder OrProduces<TBuilder>(this TBuilder endpoint, Type type)
        where TBuilder : IEndpointConventionBuilder => endpoint.AddOpenApiOperationTransformer(async (operation, context, cancellationToken) =>
            operation.Responses!["200"].Content!["application/json"] = new() { Schema = await context.GetOrCreateSchemaAsync(type, null, cancellationToken) });

    private static bool IsFile(Type type) => (Nullable.GetUnderlyingType(type) ?? type) == typeof(ReadOnlyMemory<byte>);

    private static void Complete(OpenApiSchema schema, Type type)
    {
        if (IsFile(type))
        {
            schema.Format = "byte";
        }
        else if (type.IsEnum)
        {
            schema.Type = JsonSchemaType.String;
        }
    }

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
