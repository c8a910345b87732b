using System.Diagnostics.Metrics;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Generation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using TorchSharp;

namespace Dalle.Workers.Tests.Generation;

/// <summary>An engine on a device of its own, with one model.</summary>
public abstract class EngineTests : IAsyncLifetime
{
    protected const int GridSize = 4;

    protected EngineTests()
    {
        Manifest = PublishedTestModel.Write(Store, "m");
        Engine = NewEngine(new GeneratorOptions());
    }

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected ArtifactStore Store { get; } = new(Directory.CreateTempSubdirectory("dalle-engine-").FullName);

    protected DeviceThread Device { get; } = new(torch.CPU, threads: 1);

    protected ModelManifest Manifest { get; }

    private protected GenerationEngine Engine { get; }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        Device.Dispose();
        Directory.Delete(Store.Root, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected static List<string> Pictures(IEnumerable<GeneratorReport> reports) =>
        [.. reports.OfType<PictureDecoded>().Select(picture => Convert.ToHexString(picture.Png.Span))];

    protected static int[] Tokens(IEnumerable<GeneratorReport> reports, int candidate) =>
        [.. reports.OfType<RowsSampled>().SelectMany(row => row.Tokens[candidate])];

    private static GenerationInstruments NewInstruments() =>
        new(new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>());

    private protected GenerationEngine NewEngine(GeneratorOptions options) =>
        new(Store, Device, Options.Create(options), NewInstruments(), TimeProvider.System, NullLogger<GenerationEngine>.Instance);

    protected SampleRequest Request(string prompt, int candidates = 1, ulong seed = 0, int partials = 0, string? caller = null, TimeSpan? maxWait = null) => new(
        new GenerationRequest
        {
            Model = "m", Prompt = prompt, Candidates = candidates, Seed = seed, PartialPictures = partials, Caller = caller, MaxWait = maxWait,
        },
        Manifest,
        Enumerable.Repeat(Array.Empty<int>(), candidates).ToArray());

    private protected async Task<List<GeneratorReport>> Draw(SampleRequest request, GenerationEngine? engine = null)
    {
        using var ticket = (engine ?? Engine).Enter(request);
        return await ticket.Reports(Token).ToListAsync(Token);
    }
}
