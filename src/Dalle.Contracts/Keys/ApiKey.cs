namespace Dalle.Contracts.Keys;

/// <summary>What the holder of an API key may do.</summary>
/// <remarks>Stored and sent: values are append-only.</remarks>
public enum ApiRole
{
    /// <summary>Draw pictures.</summary>
    Generate = 0,

    /// <summary>Submit, follow and steer training jobs.</summary>
    Train = 1,

    /// <summary>Everything, and make and revoke keys.</summary>
    Admin = 2,
}

/// <summary>What an API key is made for.</summary>
[GenerateSerializer, Immutable, Alias("ApiKeySpec")]
public sealed record ApiKeySpec
{
    /// <summary>Most requests a minute that a key can be given.</summary>
    public const int MostRequestsPerMinute = 1_000_000;

    /// <summary>Most open requests that a key can be given.</summary>
    public const int MostConcurrentRequests = 100_000;

    /// <summary>Whose it is, or what for: letters, digits, dot, dash, underscore; at most 64. Several keys may have the same, as while one takes another's place.</summary>
    [Id(0)] public required string Name { get; init; }

    /// <summary>What its holder may do.</summary>
    [Id(1)] public required IReadOnlyList<ApiRole> Roles { get; init; }

    /// <summary>When it ceases to be valid; null for never.</summary>
    [Id(2)] public DateTimeOffset? Expires { get; init; }

    /// <summary>Requests that it may send in a minute; null for as many as each silo allows.</summary>
    [Id(3)] public int? RequestsPerMinute { get; init; }

    /// <summary>Requests that it may have open at once on a silo; null for as many as each silo allows.</summary>
    [Id(4)] public int? ConcurrentRequests { get; init; }

    /// <summary>Checks every field.</summary>
    /// <exception cref="InvalidRequestException">A value cannot be used; the field is named.</exception>
    public void Validate()
    {
        Names.Check(Name, nameof(Name));
        if (Roles.Count == 0 || Roles.Distinct().Count() != Roles.Count || !Roles.All(Enum.IsDefined))
        {
            throw new InvalidRequestException(
                $"{nameof(Roles)}: expected one or more of {string.Join(", ", Enum.GetNames<ApiRole>()).ToLowerInvariant()}, each once, got {(Roles.Count == 0 ? "none" : string.Join(", ", Roles).ToLowerInvariant())}.",
                nameof(Roles));
        }

        CheckLimit(RequestsPerMinute, MostRequestsPerMinute, nameof(RequestsPerMinute));
        CheckLimit(ConcurrentRequests, MostConcurrentRequests, nameof(ConcurrentRequests));
    }

    private static void CheckLimit(int? limit, int most, string field)
    {
        if (limit < 1 || limit > most)
        {
            throw new InvalidRequestException(FormattableString.Invariant($"{field}: expected 1 to {most}, got {limit}."), field);
        }
    }
}

/// <summary>An API key as the cluster knows it: all but the key itself.</summary>
/// <param name="Id">Names it: the part of the key that is no secret.</param>
/// <param name="Spec">What it is made for.</param>
/// <param name="Created">When it was made.</param>
[GenerateSerializer, Immutable, Alias("ApiKey")]
public sealed record ApiKey([property: Id(0)] string Id, [property: Id(1)] ApiKeySpec Spec, [property: Id(2)] DateTimeOffset Created);

/// <summary>An API key with what it is recognised by.</summary>
/// <param name="Key">The key.</param>
/// <param name="Hash">See <see cref="ApiKeySecret.Hash"/>.</param>
[GenerateSerializer, Immutable, Alias("StoredApiKey")]
public sealed record StoredApiKey([property: Id(0)] ApiKey Key, [property: Id(1)] string Hash);

/// <summary>All keys of the cluster at one moment.</summary>
/// <param name="Version">Grows with every change.</param>
/// <param name="Keys">The keys, oldest first.</param>
[GenerateSerializer, Immutable, Alias("ApiKeySet")]
public sealed record ApiKeySet([property: Id(0)] long Version, [property: Id(1)] IReadOnlyList<StoredApiKey> Keys);
