using Dalle.Client;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Dalle.Silo.Http.Models;

/// <summary><c>/v1/models</c>: what can be drawn with.</summary>
internal static class ModelEndpoints
{
    public static void MapModels(this IEndpointRouteBuilder v1)
    {
        var models = v1.MapGroup("/models").WithTags("Models").WithMetadata(new NotFoundMeaning("model", "model_not_found"));
        models.MapGet("", List).WithName("listModels").WithSummary("List the published models, newest first.");
        models.MapGet("/{model}", Get).WithName("retrieveModel").WithSummary("Show a model.").Refuses(StatusCodes.Status404NotFound);
    }

    private static async Task<Ok<ObjectList<ModelObject>>> List(DalleClient client, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ObjectList<ModelObject>([.. (await client.ListModels(cancellationToken)).Select(ModelObject.Of)]));

    private static async Task<Ok<ModelObject>> Get(string model, DalleClient client, CancellationToken cancellationToken) =>
        TypedResults.Ok(ModelObject.Of(await client.GetModel(model, cancellationToken)));
}
