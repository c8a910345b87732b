using System.ComponentModel;
using System.Globalization;
using System.Runtime.CompilerServices;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Training;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Streaming;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.AspNetCore.Routing;

namespace Dalle.Silo.Http.Jobs;

/// <summary><c>/v1/jobs</c>: training, from submission to a published model.</summary>
internal static class JobEndpoints
{
    private const string LastEventId = "Last-Event-ID";

    public static void MapJobs(this IEndpointRouteBuilder v1)
    {
        var jobs = v1.MapGroup("/jobs").WithTags("Jobs").WithMetadata(new NotFoundMeaning("id", "job_not_found"));
        jobs.MapPost("", Submit).WithName("createJob").WithSummary("Train a model and publish it.").Refuses(StatusCodes.Status400BadRequest);
        jobs.MapGet("", List).WithName("listJobs").WithSummary("List all jobs, newest first.");

        var job = jobs.MapGroup("/{id}").Refuses(StatusCodes.Status404NotFound);
        job.MapGet("", Get).WithName("retrieveJob").WithSummary("Show where a job stands.");
        MapCommand(job, "pause", "Stop a job at the next update, with a checkpoint; answers once that is durable.", (client, id, token) => client.Pause(id, token));
        job.MapPost("/resume", Resume)
            .WithName("resumeJob")
            .WithSummary("Go on with a paused or failed job from its last checkpoint, with another number of workers if one is given.")
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict);
        MapCommand(job, "cancel", "End a job for good.", (client, id, token) => client.Cancel(id, token));
        job.MapGet("/events", Watch)
            .WithName("watchJob")
            .WithSummary("Follow a job.")
            .WithDescription("Server-Sent Events, the kept ones first, until the job comes to rest. 204 if it rests and there is nothing new to tell.")
            .Produces<TrainingEvent>(StatusCodes.Status200OK, EventStream.ContentType)
            .Produces(StatusCodes.Status204NoContent)
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status429TooManyRequests)
            .LimitStreams();
    }

    private static void MapCommand(IEndpointRouteBuilder job, string verb, string summary, Func<DalleClient, string, CancellationToken, Task> command) =>
        job.MapPost($"/{verb}", (string id, DalleClient client, CancellationToken cancellationToken) =>
                Steer(id, client, () => command(client, id, cancellationToken), cancellationToken))
            .WithName($"{verb}Job")
            .WithSummary(summary)
            .Refuses(StatusCodes.Status409Conflict);

    private static Task<Ok<JobObject>> Resume(
        string id, [FromBody(EmptyBodyBehavior = EmptyBodyBehavior.Allow)] ResumeRequest? body, DalleClient client, CancellationToken cancellationToken) =>
        Steer(id, client, () => client.Resume(id, body?.ToCounts(), cancellationToken), cancellationToken);

    private static async Task<Ok<JobObject>> Steer(string id, DalleClient client, Func<Task> command, CancellationToken cancellationToken)
    {
        await Find(client, id, cancellationToken);
        await command();
        return TypedResults.Ok(JobObject.Of(await Find(client, id, cancellationToken)));
    }

    private static async Task<Created<JobObject>> Submit(JobRequest body, DalleClient client, NamedDatasets datasets, CancellationToken cancellationToken)
    {
        var id = await client.Submit(body.ToSpec(datasets), body.Id, cancellationToken);
        return TypedResults.Created($"/v1/jobs/{id}", JobObject.Of(await client.GetStatus(id, cancellationToken)));
    }

    private static async Task<Ok<ObjectList<JobObject>>> List(DalleClient client, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ObjectList<JobObject>([.. (await client.ListJobs(cancellationToken)).Select(JobObject.Of)]));

    private static async Task<Ok<JobObject>> Get(string id, DalleClient client, CancellationToken cancellationToken) =>
        TypedResults.Ok(JobObject.Of(await Find(client, id, cancellationToken)));

    private static async Task<IResult> Watch(
        string id,
        [FromHeader(Name = LastEventId), Description("Id of the last event already received, to go on after a lost connection.")] string? lastEventId,
        DalleClient client,
        CancellationToken cancellationToken)
    {
        await Find(client, id, cancellationToken);
        return new EventStream(Events(client, id, After(lastEventId)));
    }

    private static Func<CancellationToken, IAsyncEnumerable<ServerEvent>> Events(DalleClient client, string id, long after) => token => Narrate(client.Watch(id, after, token), token);

    private static async IAsyncEnumerable<ServerEvent> Narrate(IAsyncEnumerable<TrainingEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var item in events.WithCancellation(cancellationToken))
        {
            yield return TrainingEvents.ToServerEvent(item);
        }
    }

    private static long After(string? lastEventId) => string.IsNullOrEmpty(lastEventId) ? 0
        : long.TryParse(lastEventId, NumberStyles.None, CultureInfo.InvariantCulture, out var after) ? after
        : throw ApiException.Invalid(LastEventId, "the id of an event, a whole number", $"'{lastEventId}'");

    /// <summary>What is not a job's name is not asked for.</summary>
    private static Task<TrainingStatus> Find(DalleClient client, string id, CancellationToken cancellationToken) => Names.IsValid(id)
        ? client.GetStatus(id, cancellationToken)
        : throw new NotFoundException($"There is no job '{id}'.");
}
