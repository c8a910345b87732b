using Dalle.Contracts;

namespace Dalle.Workers.Artifacts;

/// <summary>The name of an artifact: parts joined by slashes, relative to the store, which it can never leave.</summary>
public static class ArtifactKey
{
    /// <summary>Longest key, in characters.</summary>
    public const int MaxLength = 512;

    /// <summary>Longest part, in characters.</summary>
    public const int MaxPartLength = 128;

    /// <summary>Joins parts to a key and checks it.</summary>
    /// <exception cref="InvalidRequestException">The key is not allowed.</exception>
    public static string Join(params ReadOnlySpan<string> parts) => Check(string.Join('/', parts));

    /// <summary>Lets a key through that names something inside the store.</summary>
    /// <exception cref="InvalidRequestException">The key is empty, too long, rooted, steps upwards, or has characters other than letters, digits, dot, dash and underscore.</exception>
    public static string Check(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        var good = key.Length is > 0 and <= MaxLength && key.Split('/').All(IsPart);
        return good ? key : throw new InvalidRequestException(
            $"'{Shorten(key)}' is no artifact key: expected parts of letters, digits, dot, dash and underscore, joined by '/', none beginning with a dot, at most {MaxLength} characters.",
            "key");
    }

    /// <summary>Whether a text can be one part of a key.</summary>
    public static bool IsPart(string part) => part.Length is > 0 and <= MaxPartLength && part[0] != '.'
        && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    private static string Shorten(string key) => key.Length <= 80 ? key : string.Concat(key.AsSpan(0, 80), "...");
}
