using Dalle.Client;
using Dalle.Silo.Http.Access;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Dalle.Silo.Http.Keys;

/// <summary><c>/v1/keys</c>: who may use this API. This silo has taken a change in once it has answered; the others are told at the same time.</summary>
internal static class KeyEndpoints
{
    public static void MapKeys(this IEndpointRouteBuilder v1)
    {
        var keys = v1.MapGroup("/keys").WithTags("Keys").WithMetadata(new NotFoundMeaning("id", "key_not_found"));
        keys.MapPost("", Create)
            .WithName("createKey")
            .WithSummary("Make an API key. Its text is in this answer and nowhere else.")
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict);
        keys.MapGet("", List).WithName("listKeys").WithSummary("List all API keys, oldest first.");
        keys.MapDelete("/{id}", Revoke).WithName("deleteKey").WithSummary("Revoke an API key for good.").Refuses(StatusCodes.Status404NotFound);
    }

    private static async Task<Created<NewKeyObject>> Create(KeyRequest body, DalleClient client, KeyRing ring, CancellationToken cancellationToken)
    {
        var (key, text) = await client.CreateKey(body.ToSpec(), cancellationToken);
        await ring.Refresh(cancellationToken);
        return TypedResults.Created((string?)null, NewKeyObject.Of(key, text));
    }

    private static async Task<Ok<ObjectList<KeyObject>>> List(DalleClient client, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ObjectList<KeyObject>([.. (await client.ListKeys(cancellationToken)).Select(KeyObject.Of)]));

    private static async Task<Ok<RevokedKeyObject>> Revoke(string id, DalleClient client, KeyRing ring, CancellationToken cancellationToken)
    {
        await client.RevokeKey(id, cancellationToken);
        await ring.Refresh(cancellationToken);
        return TypedResults.Ok(new RevokedKeyObject(id));
    }
}
