using System.Text.Json;
using Dalle.Cli.Hosting;
using Dalle.Cli.Quickstart;
using Dalle.Data.Scenes;

namespace Dalle.Cli.Tests.Quickstart;

public sealed class QuickstartReportTests
{
    /// <summary>Other programs read this file: the names are a promise.</summary>
    [Theory]
    [InlineData("seconds", "total", "dvae", "encode", "prior", "reranker", "generate")]
    [InlineData("dvae", "updates", "psnr", "perplexity", "codes")]
    [InlineData("prior", "updates", "imageLoss", "textLoss", "tokensPerSecond")]
    [InlineData("reranker", "updates", "imageToText", "textToImage", "batchSize")]
    [InlineData("zeroShot", "captions", "accuracy")]
    [InlineData("seen", "captions", "accuracy")]
    public void Json_HasThePromisedNumbers(string section, params string[] names)
    {
        var found = Json().GetProperty(section);
        Assert.All(names, name => Assert.Equal(JsonValueKind.Number, found.GetProperty(name).ValueKind));
    }

    [Fact]
    public void Json_ListsTheImages()
    {
        var image = Assert.Single(Json().GetProperty("images").EnumerateArray());
        Assert.Equal("a large red triangle", image.GetProperty("prompt").GetString());
        Assert.Equal(7, image.GetProperty("seed").GetInt32());
        Assert.Equal("a.png", image.GetProperty("file").GetString());
    }

    private static JsonElement Json()
    {
        var rates = new ZeroShotReport(200, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5);
        return JsonDocument.Parse(Terminal.ToJson(new QuickstartReport
        {
            Preset = "tiny",
            Seconds = new(1, 2, 3, 4, 5, 6, 7),
            Dvae = new(3000, 26.4, 140, 223),
            Prior = new(800, 1.5, 0.5, 18_000),
            Reranker = new(400, 0.5, 0.5, 32),
            ZeroShot = rates,
            Seen = rates,
            Images = [new("a large red triangle", 7, "a.png")],
        })).RootElement;
    }
}
