using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dalle.Workers.Artifacts;

/// <summary>The store's small files: JSON that people can read, and that is read back to the same numbers or not at all.</summary>
internal static class ArtifactJson
{
    // Strict: a number that is missing, or that this version does not know, would be trained or drawn with another one.
    private static readonly JsonSerializerOptions Strict = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter() },
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        IgnoreReadOnlyProperties = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Writes a value, durably; see <see cref="ArtifactStore.Write"/>. Properties that are computed from others are left out.</summary>
    public static void WriteJson<T>(this ArtifactStore store, string key, T value) => store.Write(key, stream => JsonSerializer.Serialize(stream, value, Strict));

    /// <summary>Reads what <see cref="WriteJson"/> has written.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="key">The file.</param>
    /// <param name="advice">What to do if it cannot be read: the last sentence of the error.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is damaged, or of a version with other numbers.</exception>
    public static T ReadJson<T>(this ArtifactStore store, string key, string advice)
    {
        using var stream = store.Open(key);
        try
        {
            return JsonSerializer.Deserialize<T>(stream, Strict) ?? throw new JsonException("It holds nothing.");
        }
        catch (JsonException damage)
        {
            throw new InvalidDataException($"'{key}' is damaged or of another version: {damage.Message} {advice}", damage);
        }
    }
}
