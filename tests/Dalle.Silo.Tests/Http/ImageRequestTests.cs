using System.Text.Json;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Silo.Http;
using Dalle.Silo.Http.Images;

namespace Dalle.Silo.Tests.Http;

public sealed class ImageRequestTests
{
    private static readonly ModelManifest Model = new()
    {
        Name = "m", Preset = "test", Path = "models/m", Published = DateTimeOffset.UnixEpoch, ImageSize = 32, GridSize = 4, Parameters = 1,
    };

    [Fact]
    public void Request_WithEverything_SaysAllOfItToTheCluster()
    {
        var request = Read("""
            {
              "model": "m", "prompt": "a red circle", "n": 3, "size": "32x32", "response_format": "b64_json", "output_format": "webp", "output_compression": 40, "max_wait": 2.5, "stream": true, "partial_images": 2,
              "seed": 7, "temperature": 0.5, "top_k": 8, "top_p": 0.9, "guidance": 2.5, "quality": "high", "style": "vivid", "background": "auto", "user": "someone"
            }
            """);

        Assert.Equal(
            new GenerationRequest
            {
                Model = "m", Prompt = "a red circle", Candidates = 3, Seed = 7, PartialPictures = 2, Temperature = 0.5, TopK = 8, TopP = 0.9, Guidance = 2.5,
                Caller = "someone", MaxWait = TimeSpan.FromSeconds(2.5),
            },
            request.ToGenerationRequest(newSeed: 1, caller: null));
        Assert.Equal("key", request.ToGenerationRequest(newSeed: 1, caller: "key").Caller);
        Assert.Equal(new PictureOutput(PictureFormat.WebP, 40, 32), request.Output(Model));
    }

    [Fact]
    public void Request_WithTheLeast_HasTheDefaultsAndTheNewSeed() => Assert.Equal(
        new GenerationRequest { Model = "m", Prompt = "a red circle", Seed = 1 },
        Read("""{ "model": "m", "prompt": "a red circle", "n": null, "size": "auto" }""").ToGenerationRequest(newSeed: 1, caller: null));

    private static ImageGenerationRequest Read(string json)
    {
        var request = JsonSerializer.Deserialize(json, HttpJson.Api.ImageGenerationRequest)!;
        request.Check();
        return request;
    }
}
