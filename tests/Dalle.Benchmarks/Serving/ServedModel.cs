using System.Net.Http.Json;
using Dalle.Benchmarks.Cluster;
using Dalle.Client;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Sampling;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;

namespace Dalle.Benchmarks.Serving;

/// <summary>A silo, a process of its own, that serves a model of configuration T with weights as they are drawn at first, kept in 16 bit.</summary>
internal sealed class ServedModel : IAsyncDisposable
{
    public const string Name = "t";

    private readonly Silos _silos;
    private readonly HttpClient _http;

    private ServedModel(Silos silos, Uri address) => (_silos, _http) = (silos, new() { BaseAddress = address, Timeout = TimeSpan.FromMinutes(5) });

    /// <summary>The model: all tokens are drawn from, without guidance.</summary>
    public static Preset Preset { get; } = Preset.Emoji with
    {
        Sampling = new SamplingSettings(),
        PriorTraining = Preset.Emoji.PriorTraining with { Precision = Precision.BFloat16 },
    };

    public DalleClient Client => _silos.Client;

    /// <summary>Starts the silo and publishes the model.</summary>
    public static async Task<ServedModel> Start()
    {
        // More requests come from one address than a single user is let send.
        var silos = await Silos.Start(1, ("DALLE_HTTP__REQUESTSPERMINUTE", "1000000"), ("DALLE_HTTP__CONCURRENTREQUESTS", "10000"), ("DALLE_HTTP__MAXSTREAMS", "10000"));
        await silos.Client.PublishModel(PublishedTestModel.Write(new ArtifactStore(silos.Card.Artifacts), Name, preset: Preset));
        return new(silos, new(silos.Card.Http));
    }

    /// <summary>Kills the silo and starts it again on the same folder.</summary>
    public Task StartAgain() => _silos.StartFirstAgain();

    /// <summary>Bytes of memory that the silo has.</summary>
    public long ResidentBytes() => _silos.ResidentBytes();

    public static GenerationRequest Request(int seed, int candidates = 1) => new() { Model = Name, Prompt = $"a red circle {seed}", Seed = (ulong)seed, Candidates = candidates };

    /// <summary>One picture over HTTP, read to its end.</summary>
    public async Task<HttpResponseMessage> Post(int seed)
    {
        var response = await _http.PostAsJsonAsync("v1/images/generations", new { model = Name, prompt = $"a red circle {seed}", seed });
        await response.Content.ReadAsByteArrayAsync();
        return response;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _silos.DisposeAsync();
    }
}
