using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Grains.Tests.Hosting;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Models;

public sealed class ModelCatalogGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static int _catalogs;

    // The system has one catalog, keyed 0; each test here has one of its own.
    private readonly int _key = Interlocked.Increment(ref _catalogs);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private IModelCatalogGrain Catalog => cluster.Grains.GetGrain<IModelCatalogGrain>(_key);

    [Fact]
    public async Task List_IsNewestFirst_AndPublishReplacesByName()
    {
        await Catalog.Publish(Model("a", day: 1), Token);
        await Catalog.Publish(Model("c", day: 2), Token);
        await Catalog.Publish(Model("b", day: 2), Token);
        await Catalog.Publish(Model("a", day: 3) with { Preset = "small" }, Token);

        Assert.Equal(["a", "b", "c"], (await Catalog.List(Token)).Select(model => model.Name));
        Assert.Equal("small", (await Catalog.Get("a", Token)).Preset);
    }

    [Fact]
    public async Task Catalog_OutlivesItsActivation_WithAllThatIsKnownOfAModel()
    {
        var model = Model("a", day: 1) with { JobId = "j", Metrics = new Dictionary<string, double> { ["psnr"] = 20.5 }, Files = new Dictionary<string, string> { ["x"] = "00" } };
        await Catalog.Publish(model, Token);
        await cluster.EndActivations(Token);

        var stored = await Catalog.Get("a", Token);

        Assert.Equal(model, stored with { Metrics = model.Metrics, Files = model.Files });
        Assert.Equal(model.Metrics, stored.Metrics);
        Assert.Equal(model.Files, stored.Files);
    }

    [Fact]
    public async Task Delete_TakesItOut_AndWhatIsNotThereIsNotFoundByName()
    {
        await Catalog.Publish(Model("a", day: 1), Token);
        await Catalog.Publish(Model("b", day: 1), Token);
        await Catalog.Delete("a", Token);

        Assert.Equal("There is no model 'a'. Published: b.", (await Assert.ThrowsAsync<NotFoundException>(() => Catalog.Get("a", Token))).Message);
        await Catalog.Delete("b", Token);
        Assert.Equal("There is no model 'b'. Published: none yet.", (await Assert.ThrowsAsync<NotFoundException>(() => Catalog.Delete("b", Token))).Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("../m")]
    [InlineData("a b")]
    public async Task Publish_UnderABadName_IsRefused(string name)
    {
        await Assert.ThrowsAsync<InvalidRequestException>(() => Catalog.Publish(Model(name, day: 1), Token));
        Assert.Empty(await Catalog.List(Token));
    }

    [Fact]
    public async Task Catalog_WhoseStoreRefuses_StaysAsItWas()
    {
        await Catalog.Publish(Model("a", day: 1), Token);

        cluster.Stored.FailNextWrite($"{_key}");
        await Assert.ThrowsAsync<OrleansException>(() => Catalog.Publish(Model("b", day: 2), Token));
        Assert.Equal(["a"], (await Catalog.List(Token)).Select(model => model.Name));
        cluster.Stored.FailNextWrite($"{_key}");
        await Assert.ThrowsAsync<OrleansException>(() => Catalog.Delete("a", Token));

        Assert.Equal("a", (await Catalog.Get("a", Token)).Name);
        await Catalog.Delete("a", Token);
        Assert.Empty(await Catalog.List(Token));
    }

    private static ModelManifest Model(string name, int day) => new()
    {
        Name = name, Preset = "test", Path = $"models/{name}", Published = DateTimeOffset.UnixEpoch.AddDays(day), ImageSize = 8, GridSize = 2, Parameters = 1,
    };
}
