using System.Text.Json;

namespace Dalle.Data.Datasets;

/// <summary>A sample's JSON record in a shard. Other readers of WebDataset files find "caption" there.</summary>
internal sealed record SampleRecord(string Id, string Caption, IReadOnlyList<string> Captions, int Width, int Height)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true };

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <exception cref="InvalidDataException">Not a record.</exception>
    public static SampleRecord FromJson(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return JsonSerializer.Deserialize<SampleRecord>(utf8, Json) is { Captions.Count: > 0 } record ? record : throw new JsonException("There are no captions.");
        }
        catch (JsonException malformed)
        {
            throw new InvalidDataException($"A sample's record is damaged: {malformed.Message}", malformed);
        }
    }
}
