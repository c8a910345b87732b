namespace Dalle.Contracts;

/// <summary>A request that cannot be served as it is: says what was expected, what came and what to do.</summary>
[GenerateSerializer, Alias("InvalidRequestException")]
public sealed class InvalidRequestException(string message, string? parameter = null) : Exception(message)
{
    /// <summary>The field at fault, or null.</summary>
    [Id(0)] public string? Parameter { get; } = parameter;
}

/// <summary>The named thing does not exist.</summary>
[GenerateSerializer, Alias("NotFoundException")]
public sealed class NotFoundException(string message) : Exception(message);

/// <summary>Every slot and queue place is taken; worth trying again later.</summary>
[GenerateSerializer, Alias("OverloadedException")]
public sealed class OverloadedException(string message, TimeSpan retryAfter) : Exception(message)
{
    /// <summary>When to try again.</summary>
    [Id(0)] public TimeSpan RetryAfter { get; } = retryAfter;
}

/// <summary>A generation session ended without its pictures, and will not give them.</summary>
[GenerateSerializer, Alias("GenerationFailedException")]
public sealed class GenerationFailedException(string message) : Exception(message);

/// <summary>No silo of the cluster can be reached, or none takes calls now: it stops or starts. Worth trying again.</summary>
public sealed class ClusterUnavailableException(string message, Exception cause) : Exception(message, cause);
