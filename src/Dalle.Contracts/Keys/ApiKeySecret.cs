using System.Security.Cryptography;
using System.Text;

namespace Dalle.Contracts.Keys;

/// <summary>
/// An API key's text, <c>dalle_ID_SECRET</c>, which whoever made it sees once. The id is no secret; the secret is 256 random bits, so a fast hash (SHA-256) of the text is all that need be
/// kept: slow ones are for passwords, which can be guessed.
/// </summary>
public static class ApiKeySecret
{
    private const string Prefix = "dalle_";
    private const int IdLength = 12, SecretLength = 64;

    /// <summary>A new key's text.</summary>
    public static string New() => $"{Prefix}{RandomNumberGenerator.GetHexString(IdLength, lowercase: true)}_{RandomNumberGenerator.GetHexString(SecretLength, lowercase: true)}";

    /// <summary>The id that a text names; null if the text is none of a key's.</summary>
    public static string? IdOf(string text) => text.Length == Prefix.Length + IdLength + 1 + SecretLength && text.StartsWith(Prefix, StringComparison.Ordinal) && text[Prefix.Length + IdLength] == '_'
        ? text.Substring(Prefix.Length, IdLength)
        : null;

    /// <summary>What is kept of a text: its SHA-256, in lower-case hexadecimal digits.</summary>
    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>Whether a text is the one of a hash. Takes the same time whatever the text.</summary>
    public static bool Matches(string hash, string text) => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(hash), Encoding.ASCII.GetBytes(Hash(text)));
}
