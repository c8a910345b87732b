using System.ClientModel;
using System.Net;
using OpenAI.Models;

namespace Dalle.Silo.Tests.Http;

public sealed class ModelsTests(HttpSilo silo) : IClassFixture<HttpSilo>
{
    private OpenAIModelClient Models => silo.OpenAI().GetOpenAIModelClient();

    [Fact]
    public async Task OpenAiClient_ListsTheModels_AndShowsOne()
    {
        var listed = await Models.GetModelsAsync(HttpSilo.Token);
        var shown = await Models.GetModelAsync(HttpSilo.Model, HttpSilo.Token);

        Assert.Equal([HttpSilo.Model], listed.Value.Select(model => model.Id));
        Assert.Equal((HttpSilo.Model, "dalle", silo.Manifest.Published), (shown.Value.Id, shown.Value.OwnedBy, shown.Value.CreatedAt));
    }

    [Fact]
    public async Task Model_IsShown_WithWhatARequestMayAskOfIt()
    {
        var model = await HttpSilo.Read(await silo.Http.GetAsync($"/v1/models/{HttpSilo.Model}", HttpSilo.Token));

        Assert.Equal(("32x32", "test"), (model.GetProperty("size").GetString(), model.GetProperty("preset").GetString()));
    }

    [Fact]
    public async Task UnknownModel_Is404()
    {
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => Models.GetModelAsync("nobody", HttpSilo.Token));
        var error = await HttpSilo.ReadError(await silo.Http.GetAsync("/v1/models/..%2f..%2fetc", HttpSilo.Token), HttpStatusCode.NotFound);

        Assert.Equal(404, refused.Status);
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
    }
}
