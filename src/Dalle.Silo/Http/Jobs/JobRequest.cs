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

    /// <summary>The networks and how they learn: tiny, tiny-full, emoji, ...</summary>
    [Required]
    public string Preset { get; set; } = "";

    /// <summary>The built-in scenes, or the name of a dataset in the data folder's datasets.</summary>
    [Required]
    public string Data { get; set; } = "";

    /// <summary>Name to publish the model under.</summary>
    [Required]
    public string Model { get; set; } = "";

    /// <summary>The job's id. Repeating a request with its id starts nothing new. Default: a new one.</summary>
    public string? Id { get; set; }

    /// <summary>Seed of every random number of the job.</summary>
    [DefaultValue(0ul)]
    public ulong? Seed { get; set; }

    /// <summary>Updates of the discrete VAE. Default: the preset's.</summary>
    [Range(1, int.MaxValue)]
    public int? DvaeUpdates { get; set; }

    /// <summary>Updates of the prior. Default: the preset's.</summary>
    [Range(1, int.MaxValue)]
    public int? PriorUpdates { get; set; }

    /// <summary>Updates of the reranker; 0 for no reranker. Default: the preset's.</summary>
    [Range(0, int.MaxValue)]
    public int? RerankerUpdates { get; set; }

    /// <summary>Updates from one checkpoint to the next.</summary>
    [Range(1, int.MaxValue), DefaultValue(500)]
    public int? CheckpointEvery { get; set; }

    /// <summary>Checkpoints kept per stage.</summary>
    [Range(1, int.MaxValue), DefaultValue(2)]
    public int? KeepCheckpoints { get; set; }

    /// <summary>libtorch threads of a worker: part of the job, since another count rounds differently.</summary>
    [Range(1, MaxThreads), DefaultValue(2)]
    public int? Threads { get; set; }

    /// <summary>Copies of the parameters that share every batch: part of the job, wherever its workers are.</summary>
    [Range(1, TrainingSpec.MostWorkers), DefaultValue(1)]
    public int? Replicas { get; set; }

    /// <summary>Workers that share the parameters of each copy.</summary>
    [Range(1, TrainingSpec.MostWorkers), DefaultValue(1)]
    public int? Shards { get; set; }

    /// <summary>Rank that the prior's gradients are compressed to between replicas; 0 for no compression. Default: the preset's.</summary>
    [Range(0, int.MaxValue)]
    public int? CompressionRank { get; set; }

    /// <summary>When a silo is lost with what compression had left out there: exact computes up to a second again, to the same bytes; continue goes on with what is left.</summary>
    public RecoveryMode? Recovery { get; set; }

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
            Replicas = Replicas ?? spec.Replicas,
            Shards = Shards ?? spec.Shards,
            CompressionRank = CompressionRank,
            RerankerUpdates = RerankerUpdates,
            Recovery = Recovery ?? spec.Recovery,
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
