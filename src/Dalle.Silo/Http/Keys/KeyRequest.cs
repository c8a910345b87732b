using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Keys;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Keys;

/// <summary>What an API key is to be.</summary>
internal sealed class KeyRequest
{
    private static readonly (long First, long Last) Times = (0, DateTimeOffset.MaxValue.ToUnixTimeSeconds());

    /// <summary>Whose it is, or what for.</summary>
    [Required]
    public string Name { get; set; } = "";

    /// <summary>What its holder may do: generate, train, admin.</summary>
    [Required]
    public IReadOnlyList<ApiRole> Roles { get; set; } = [];

    /// <summary>When it ceases to be valid, in seconds since 1970. Default: never.</summary>
    public long? ExpiresAt { get; set; }

    /// <summary>Requests that it may send in a minute. Default: what each silo allows.</summary>
    [Range(1, ApiKeySpec.MostRequestsPerMinute)]
    public int? RequestsPerMinute { get; set; }

    /// <summary>Requests that it may have open at once on a silo. Default: what each silo allows.</summary>
    [Range(1, ApiKeySpec.MostConcurrentRequests)]
    public int? ConcurrentRequests { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>The key as the cluster takes it.</summary>
    /// <exception cref="ApiException">A parameter's value cannot be used; it is named.</exception>
    public ApiKeySpec ToSpec()
    {
        if (Others?.Keys.FirstOrDefault() is { } unknown)
        {
            throw ApiException.Unknown(unknown);
        }

        if (string.IsNullOrEmpty(Name))
        {
            throw ApiException.Missing("name", "whose key it is, or what for");
        }

        return ExpiresAt is null || (ExpiresAt >= Times.First && ExpiresAt <= Times.Last)
            ? new()
            {
                Name = Name, Roles = Roles, Expires = ExpiresAt is { } time ? DateTimeOffset.FromUnixTimeSeconds(time) : null,
                RequestsPerMinute = RequestsPerMinute, ConcurrentRequests = ConcurrentRequests,
            }
            : throw ApiException.Invalid("expires_at", "seconds since 1970", ExpiresAt);
    }
}
