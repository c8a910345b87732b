using System.Text.Json;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Keys;
using Dalle.Contracts.Training;

namespace Dalle.Silo.Http.Errors;

/// <summary>What the API calls the fields of the contracts.</summary>
internal static class ParameterNames
{
    private static readonly Dictionary<string, string> Renamed = new()
    {
        [nameof(GenerationRequest.Candidates)] = "n",
        [nameof(GenerationRequest.Keep)] = "candidates",
        [nameof(GenerationRequest.PartialPictures)] = "partial_images",
        [nameof(PictureToComplete.Picture)] = "image",
        [nameof(GenerationRequest.Caller)] = "user",
        [nameof(ApiKeySpec.Expires)] = "expires_at",
        [nameof(TrainingSpec.Dataset)] = "data",
        [nameof(TrainingSpec.DiscreteVaeUpdates)] = "dvae_updates",
        [nameof(TrainingSpec.ThreadsPerWorker)] = "threads",
    };

    public static string Of(string field) => Renamed.GetValueOrDefault(field) ?? JsonNamingPolicy.SnakeCaseLower.ConvertName(field);
}
