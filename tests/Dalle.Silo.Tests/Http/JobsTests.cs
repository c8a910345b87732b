using System.Net;
using System.Text.Json;
using Dalle.Data.Datasets;
using Dalle.Silo.Http.Jobs;

namespace Dalle.Silo.Tests.Http;

public sealed class JobsTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_IsSubmitted_Followed_AndItsModelDrawn()
    {
        using var submitted = await Submit("followed");
        var job = await HttpSilo.Read(submitted, HttpStatusCode.Created);
        var events = await Follow("followed").ToListAsync(Token);
        var ended = await HttpSilo.Read(await silo.Http.GetAsync(submitted.Headers.Location, Token));
        var listed = await HttpSilo.Read(await silo.Http.GetAsync("/v1/jobs", Token));
        var drawn = await HttpSilo.Read(await silo.Post("/v1/images/generations", """{ "model": "followed", "prompt": "a red circle" }"""));

        Assert.Equal(("training.job", "followed", "scenes", 7ul), (Text(job, "object"), Text(job, "id"), Text(job, "data"), job.GetProperty("seed").GetUInt64()));
        Assert.Equal(("completed", "publish"), (Text(ended, "status"), Text(ended, "stage")));
        Assert.True(ended.GetProperty("stage_seconds").GetProperty("discrete_vae").GetDouble() > 0);
        Assert.True(ended.GetProperty("figures").GetProperty("image_loss").GetDouble() > 0);
        Assert.Contains("followed", listed.GetProperty("data").EnumerateArray().Select(item => Text(item, "id")));
        Assert.Equal(1, drawn.GetProperty("data").GetArrayLength());

        Assert.Equal("phase", events[0].Type);
        Assert.Contains(events, item => item.Type == "prior.step" && item.Data.GetProperty("step").GetInt32() == 30);
        Assert.Contains(events, item => item.Type == "published" && Text(item.Data, "model") == "followed");
        Assert.Equal(("phase", "completed"), (events[^1].Type, Text(events[^1].Data, "phase")));
        Assert.All(events, item => Assert.Equal(item.Type, Text(item.Data, "type")));
    }

    [Fact]
    public async Task Events_AfterALostConnection_GoOnBehindTheLastEventId()
    {
        (await Submit("cut")).EnsureSuccessStatusCode();

        var seen = await Follow("cut").Take(3).ToListAsync(Token);
        seen.AddRange(await Follow("cut", seen[^1].Id).ToListAsync(Token));
        var all = await Follow("cut").ToListAsync(Token);
        using var nothingNew = await silo.Open(HttpMethod.Get, "/v1/jobs/cut/events", lastEventId: all[^1].Id);

        Assert.True(seen.Count > 6);
        Assert.Equal(all.Select(item => item.Id), seen.Select(item => item.Id));
        Assert.Equal(HttpStatusCode.NoContent, nothingNew.StatusCode);
    }

    [Fact]
    public async Task Job_IsPaused_Resumed_AndCancelled_AndWhatHasEndedIsNotSteered()
    {
        (await Submit("steered", updates: 100_000)).EnsureSuccessStatusCode();

        Assert.Equal("paused", Text(await HttpSilo.Read(await silo.Post("/v1/jobs/steered/pause", "")), "status"));
        Assert.Equal("running", Text(await HttpSilo.Read(await silo.Post("/v1/jobs/steered/resume", "")), "status"));
        Assert.Equal("cancelled", Text(await HttpSilo.Read(await silo.Post("/v1/jobs/steered/cancel", "")), "status"));
        var error = await HttpSilo.ReadError(await silo.Post("/v1/jobs/steered/resume", ""), HttpStatusCode.Conflict);
        Assert.Equal(("invalid_state", "The job is cancelled; only a paused or failed job can be resumed."), (Text(error, "code"), Text(error, "message")));
    }

    [Fact]
    public async Task Submission_Repeated_IsTheSameJob_AndWithOtherContentRefused()
    {
        (await Submit("twice", updates: 100_000)).EnsureSuccessStatusCode();
        (await Submit("twice", updates: 100_000)).EnsureSuccessStatusCode();
        var error = await HttpSilo.ReadError(await Submit("twice", updates: 5), HttpStatusCode.BadRequest);
        await silo.Post("/v1/jobs/twice/cancel", "");

        Assert.Equal("id", Text(error, "param"));
    }

    [Theory]
    [InlineData("data", "/etc")]
    [InlineData("data", "../artifacts")]
    [InlineData("data", "..")]
    [InlineData("data", ".")]
    [InlineData("data", "emoji")]
    [InlineData("preset", "huge")]
    [InlineData("model", "a/b")]
    [InlineData("id", "../x")]
    public async Task BadName_IsRefused_AndTheParameterIsNamed(string parameter, string value)
    {
        var fields = new Dictionary<string, string> { ["preset"] = "test", ["data"] = "scenes", ["model"] = "m", [parameter] = value };

        var error = await HttpSilo.ReadError(await silo.Post("/v1/jobs", JsonSerializer.Serialize(fields)), HttpStatusCode.BadRequest);

        Assert.Equal(parameter, Text(error, "param"));
        Assert.Contains($"'{value}'", Text(error, "message"), StringComparison.Ordinal);
        Assert.DoesNotContain(silo.Silo.DataFolder, Text(error, "message"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"dvae_updates\": 0", "dvae_updates", "dvae_updates is 0: expected at least 1.")]
    [InlineData("\"threads\": 257", "threads", "threads: expected 1 to 256, got 257.")]
    [InlineData("\"prior_updates\": 1.5", "prior_updates", "prior_updates: expected a whole number, got something else.")]
    [InlineData("\"updates\": 5", "updates", "Unknown parameter: 'updates'.")]
    public async Task BadNumber_IsRefused_AndTheParameterIsNamed(string field, string parameter, string message)
    {
        var body = $$"""{ "preset": "test", "data": "scenes", "model": "m", {{field}} }""";

        var error = await HttpSilo.ReadError(await silo.Post("/v1/jobs", body), HttpStatusCode.BadRequest);

        Assert.Equal((parameter, message), (Text(error, "param"), Text(error, "message")));
    }

    [Fact]
    public async Task Dataset_OfTheDataFolder_IsFoundByItsName_AndToldByItsName()
    {
        var folder = Directory.CreateDirectory(Path.Combine(silo.Silo.DataFolder, NamedDatasets.FolderName, "mine")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, DatasetManifest.FileName), "{}", Token);

        var job = await HttpSilo.Read(await silo.Post("/v1/jobs", """{ "id": "named", "preset": "test", "data": "mine", "model": "m" }"""), HttpStatusCode.Created);
        var status = await silo.Client.GetStatus("named", Token);
        var error = await HttpSilo.ReadError(await silo.Post("/v1/jobs", """{ "preset": "test", "data": "yours", "model": "m" }"""), HttpStatusCode.BadRequest);

        Assert.Equal("mine", Text(job, "data"));
        Assert.Equal(folder, status.Spec.Dataset);
        Assert.Equal("data: expected one of scenes, mine, got 'yours'.", Text(error, "message"));
    }

    [Fact]
    public async Task Dataset_OutsideTheDataFoldersDatasets_IsNotFound_HoweverItIsNamed()
    {
        Directory.CreateDirectory(Path.Combine(silo.Silo.DataFolder, NamedDatasets.FolderName));
        var folder = Directory.CreateDirectory(Path.Combine(silo.Silo.DataFolder, "outside")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, DatasetManifest.FileName), "{}", Token);

        foreach (var name in new[] { folder, "../outside", "./../outside", "outside" })
        {
            var body = JsonSerializer.Serialize(new { preset = "test", data = name, model = "m" });
            Assert.Equal("data", Text(await HttpSilo.ReadError(await silo.Post("/v1/jobs", body), HttpStatusCode.BadRequest), "param"));
        }
    }

    [Theory]
    [InlineData("GET", "/v1/jobs/nobody")]
    [InlineData("GET", "/v1/jobs/nobody/events")]
    [InlineData("GET", "/v1/jobs/..%2Fnobody")]
    [InlineData("POST", "/v1/jobs/nobody/pause")]
    [InlineData("POST", "/v1/jobs/nobody/cancel")]
    public async Task UnknownJob_Is404(string method, string path)
    {
        var error = await HttpSilo.ReadError(await silo.Open(new(method), path), HttpStatusCode.NotFound);

        Assert.Equal(("id", "job_not_found"), (Text(error, "param"), Text(error, "code")));
    }

    [Fact]
    public async Task LastEventId_ThatIsNone_IsRefused()
    {
        (await Submit("numbered")).EnsureSuccessStatusCode();
        (await silo.Post("/v1/jobs/numbered/cancel", "")).EnsureSuccessStatusCode();

        var error = await HttpSilo.ReadError(await silo.Open(HttpMethod.Get, "/v1/jobs/numbered/events", lastEventId: "x"), HttpStatusCode.BadRequest);

        Assert.Equal("Last-Event-ID", Text(error, "param"));
    }

    private Task<HttpResponseMessage> Submit(string id, int updates = 30) => silo.Post("/v1/jobs", $$"""
        {
          "id": "{{id}}", "preset": "test", "data": "scenes", "model": "{{id}}", "seed": 7,
          "dvae_updates": {{updates}}, "prior_updates": {{updates}}, "checkpoint_every": 10, "threads": 1
        }
        """);

    private async IAsyncEnumerable<(string? Id, string Type, JsonElement Data)> Follow(string job, string? lastEventId = null)
    {
        using var response = await silo.Open(HttpMethod.Get, $"/v1/jobs/{job}/events", lastEventId: lastEventId);
        await foreach (var item in HttpSilo.Events(response))
        {
            yield return (item.EventId, item.EventType, item.Data);
        }
    }

    private static string? Text(JsonElement element, string property) => element.GetProperty(property).GetString();
}
