using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Training;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Jobs;

/// <summary>What to train.</summary>
internal sealed class JobRequest
{
    /// <summary>More than any machine has use for; each is a thread of the silo.</summary>
    private const int MaxThreads = 256;

    [Required, Description("The networks and how they learn: tiny, tiny-full, emoji, ...")]
    public string Preset { get; set; } = "";

    [Required, Description("The built-in scenes, or the name of a dataset in the data folder's datasets.")]
    public string Data { get; set; } = "";

    [Required, Description("Name to publish the model under.")]
    public string Model { get; set; } = "";

    [Description("The job's id. Repeating a request with its id starts nothing new. Default: a new one.")]
    public string? Id { get; set; }

    [DefaultValue(0), Description("Seed of every random number of the job.")]
    public ulong? Seed { get; set; }

    [Range(1, int.MaxValue), Description("Updates of the discrete VAE. Default: the preset's.")]
    public int? DvaeUpdates { get; set; }

    [Range(1, int.MaxValue), Description("Updates of the prior. Default: the preset's.")]
    public int? PriorUpdates { get; set; }

    [Range(1, int.MaxValue), DefaultValue(500), Description("Updates from one checkpoint to the next.")]
    public int? CheckpointEvery { get; set; }

    [Range(1, int.MaxValue), DefaultValue(2), Description("Checkpoints kept per stage.")]
    public int? KeepCheckpoints { get; set; }

    [Range(1, MaxThreads), DefaultValue(2), Description("libtorch threads of a worker: part of the job, since another count rounds differently.")]
    public int? Threads { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>The job as the cluster takes it.</summary>
    /// <exception cref="ApiException">A parameter's value cannot be used; it is named.</exception>
    public TrainingSpec ToSpec(NamedDatasets datasets)
    {
        if (Others?.Keys.FirstOrDefault() is { } unknown)
        {
            throw ApiException.Unknown(unknown);
        }

        Require(Preset, "preset", "the name of a preset");
        Require(Data, "data", "the name of a dataset, such as scenes");
        Require(Model, "model", "a name to publish the model under");
        var presets = Dalle.Model.Presets.Preset.All.Select(preset => preset.Name).ToArray();
        if (!presets.Contains(Preset, StringComparer.OrdinalIgnoreCase))
        {
            throw ApiException.Invalid("preset", $"one of {string.Join(", ", presets)}", $"'{Preset}'");
        }

        if (Threads > MaxThreads)
        {
            throw ApiException.Invalid("threads", $"1 to {MaxThreads}", Threads);
        }

        var spec = new TrainingSpec
        {
            Preset = Preset, Dataset = datasets.Resolve(Data), Model = Model, Seed = Seed ?? 0, DiscreteVaeUpdates = DvaeUpdates, PriorUpdates = PriorUpdates,
        };
        return spec with
        {
            CheckpointEvery = CheckpointEvery ?? spec.CheckpointEvery,
            KeepCheckpoints = KeepCheckpoints ?? spec.KeepCheckpoints,
            ThreadsPerWorker = Threads ?? spec.ThreadsPerWorker,
        };
    }

    private static void Require(string value, string parameter, string expected)
    {
        if (string.IsNullOrEmpty(value))
        {
            throw ApiException.Missing(parameter, expected);
        }
    }
}
