using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Training;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Jobs;

/// <summary>How a job is to go on. Without it, as before.</summary>
internal sealed class ResumeRequest
{
    /// <summary>Copies of the parameters from now on. Default: as many as before.</summary>
    [Range(1, TrainingSpec.MostWorkers)]
    public int? Replicas { get; set; }

    /// <summary>Workers that share the parameters of each copy from now on. Default: as many as before.</summary>
    [Range(1, TrainingSpec.MostWorkers)]
    public int? Shards { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>The counts as the cluster takes them.</summary>
    /// <exception cref="ApiException">A parameter is not known; it is named.</exception>
    public WorkerCounts ToCounts() => Others?.Keys.FirstOrDefault() is { } unknown ? throw ApiException.Unknown(unknown) : new(Replicas, Shards);
}
