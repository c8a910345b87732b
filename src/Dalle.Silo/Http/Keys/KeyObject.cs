using System.Diagnostics.CodeAnalysis;
using Dalle.Contracts.Keys;

namespace Dalle.Silo.Http.Keys;

/// <summary>An API key, as it is listed.</summary>
internal record KeyObject
{
    /// <summary>Names it: the part of the key that is no secret.</summary>
    public required string Id { get; init; }

    public string Object { get; init; } = "api_key";

    /// <summary>Whose it is, or what for.</summary>
    public required string Name { get; init; }

    /// <summary>What its holder may do.</summary>
    public required IReadOnlyList<ApiRole> Roles { get; init; }

    /// <summary>When it was made, in seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>When it ceases to be valid, in seconds since 1970; null for never.</summary>
    public required long? ExpiresAt { get; init; }

    /// <summary>Requests that it may send in a minute; null for what each silo allows.</summary>
    public required int? RequestsPerMinute { get; init; }

    /// <summary>Requests that it may have open at once on a silo; null for what each silo allows.</summary>
    public required int? ConcurrentRequests { get; init; }

    public static KeyObject Of(ApiKey key) => new()
    {
        Id = key.Id, Name = key.Spec.Name, Roles = key.Spec.Roles, CreatedAt = key.Created.ToUnixTimeSeconds(), ExpiresAt = key.Spec.Expires?.ToUnixTimeSeconds(),
        RequestsPerMinute = key.Spec.RequestsPerMinute, ConcurrentRequests = key.Spec.ConcurrentRequests,
    };
}

/// <summary>An API key that has just been made: here alone its text is shown.</summary>
internal sealed record NewKeyObject : KeyObject
{
    [SetsRequiredMembers]
    private NewKeyObject(KeyObject key, string text)
        : base(key) => Key = text;

    /// <summary>What its holder sends as <c>Authorization: Bearer KEY</c>.</summary>
    public required string Key { get; init; }

    public static NewKeyObject Of(ApiKey key, string text) => new(Of(key), text);
}

/// <summary>An API key that is valid no more.</summary>
internal sealed record RevokedKeyObject(string Id)
{
    public string Object { get; init; } = "api_key";

    public bool Deleted { get; init; } = true;
}
