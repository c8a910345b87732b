using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>
/// The JSON at the start of a safetensors file. Reading believes nothing: types, shapes and offsets are checked against each other and against
/// the length of the file, and the tensors must tile the data without holes or overlap (the public format's rules, github.com/huggingface/safetensors).
/// </summary>
/// <param name="Entries">The tensors in the order of their bytes.</param>
/// <param name="Metadata">The file's own string properties.</param>
internal sealed record SafetensorsHeader(IReadOnlyList<SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>Longest header that is read, in bytes: the reference implementation's limit.</summary>
    public const int MaxLength = 100_000_000;

    /// <summary>Longest tensor name or metadata key, in characters.</summary>
    public const int MaxNameLength = 1024;

    /// <summary>Most dimensions of a tensor.</summary>
    public const int MaxDimensions = 32;

    private const string MetadataKey = "__metadata__";

    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Lays tensors out one after the other, widest elements first so that each is aligned, then by name: the same tensors give the same bytes.</summary>
    public static SafetensorsHeader Arrange(IEnumerable<(string Name, ScalarType Type, long[] Shape)> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var entries = new List<SafetensorsEntry>();
        long offset = 0;
        foreach (var (name, type, shape) in tensors.OrderByDescending(t => SafetensorsType.Size(t.Type)).ThenBy(t => t.Name, StringComparer.Ordinal))
        {
            if (name.Length is 0 or > MaxNameLength || name == MetadataKey)
            {
                throw new ArgumentException($"Expected a tensor name of 1 to {MaxNameLength} characters other than '{MetadataKey}', got '{name}'.", nameof(tensors));
            }

            var length = shape.Aggregate((long)SafetensorsType.Size(type), (product, dimension) => checked(product * dimension));
            entries.Add(new(name, type, shape, offset, offset + length));
            offset += length;
        }

        return new(entries, metadata);
    }

    /// <summary>The header as JSON, padded with blanks to a multiple of 8 bytes.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Plain))
        {
            json.WriteStartObject();
            if (Metadata.Count > 0)
            {
                json.WriteStartObject(MetadataKey);
                foreach (var (key, value) in Metadata.OrderBy(p => p.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            foreach (var entry in Entries)
            {
                json.WriteStartObject(entry.Name);
                json.WriteString("dtype", SafetensorsType.Name(entry.Type));
                WriteNumbers(json, "shape", entry.Shape);
                WriteNumbers(json, "data_offsets", [entry.Begin, entry.End]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        var padding = -buffer.WrittenCount & 7;
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenMemory;
    }

    /// <summary>Reads and checks a header.</summary>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataLength">Bytes of the file after the header.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="SafetensorsException">The header breaks the format's rules.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataLength, string path)
    {
        SafetensorsException Bad(string problem) => new(path, problem);
        if (json.IsEmpty || json[0] != '{')
        {
            throw Bad("expected the header to begin with '{'; this is not a safetensors file.");
        }

        var entries = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        Dictionary<string, string>? metadata = null;
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 3 });
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = ReadName(ref reader, path);
                if (name == MetadataKey)
                {
                    metadata = metadata is null ? ReadMetadata(ref reader, path) : throw Bad($"'{MetadataKey}' stands twice in the header.");
                }
                else if (!entries.TryAdd(name, ReadEntry(ref reader, name, path)))
                {
                    throw Bad($"tensor '{name}' stands twice in the header.");
                }
            }

            // Only blanks may follow: the reader throws on anything else.
            reader.Read();
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw Bad($"expected the header to be JSON of tensors and their places: {error.Message}");
        }

        var ordered = entries.Values.OrderBy(e => e.Begin).ThenBy(e => e.End).ToList();
        long end = 0;
        foreach (var entry in ordered)
        {
            if (entry.Begin != end)
            {
                throw Bad($"expected tensor '{entry.Name}' to begin at byte {end} of the data, right after the one before; got {entry.Begin}.");
            }

            end = entry.End;
        }

        return end == dataLength
            ? new(ordered, metadata ?? [])
            : throw Bad($"expected {end} bytes of tensors after the header, got {dataLength}; the file is cut off or damaged.");
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }

    private static string ReadName(ref Utf8JsonReader reader, string path) => reader.ValueSpan.Length is > 0 and <= MaxNameLength
        ? reader.GetString()!
        : throw new SafetensorsException(path, $"expected names of 1 to {MaxNameLength} bytes in the header, got {reader.ValueSpan.Length} bytes.");

    private static Dictionary<string, string> ReadMetadata(ref Utf8JsonReader reader, string path)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        Expect(ref reader, JsonTokenType.StartObject, MetadataKey, path);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = ReadName(ref reader, path);
            Expect(ref reader, JsonTokenType.String, $"{MetadataKey}.{key}", path);
            if (!metadata.TryAdd(key, reader.GetString()!))
            {
                throw new SafetensorsException(path, $"metadata '{key}' stands twice in the header.");
            }
        }

        return metadata;
    }

    private static SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name, string path)
    {
        string? dtype = null;
        List<long>? shape = null, offsets = null;
        Expect(ref reader, JsonTokenType.StartObject, name, path);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (dtype is null && reader.ValueTextEquals("dtype"))
            {
                Expect(ref reader, JsonTokenType.String, $"{name}.dtype", path);
                dtype = reader.GetString();
            }
            else if (shape is null && reader.ValueTextEquals("shape"))
            {
                shape = ReadNumbers(ref reader, $"{name}.shape", MaxDimensions, path);
            }
            else if (offsets is null && reader.ValueTextEquals("data_offsets"))
            {
                offsets = ReadNumbers(ref reader, $"{name}.data_offsets", 2, path);
            }
            else
            {
                throw new SafetensorsException(path, $"expected dtype, shape and data_offsets once each for tensor '{name}', got '{reader.GetString()}'.");
            }
        }

        if (shape is null || offsets is not [var begin, var end])
        {
            throw new SafetensorsException(path, $"expected dtype, shape and two data_offsets for tensor '{name}'.");
        }

        var type = SafetensorsType.Parse(dtype)
            ?? throw new SafetensorsException(path, $"expected one of {SafetensorsType.Known} as the dtype of tensor '{name}', got '{dtype}'.");
        var length = (UInt128)SafetensorsType.Size(type);
        foreach (var dimension in shape)
        {
            // 64 bits are enough for any real file, so a product that leaves them stays there.
            length = length > long.MaxValue && dimension != 0 ? length : length * (ulong)dimension;
        }

        return begin <= end && length == (UInt128)(ulong)(end - begin)
            ? new(name, type, shape, begin, end)
            : throw new SafetensorsException(path, $"expected {length} bytes for tensor '{name}' ({dtype} [{string.Join(", ", shape)}]), got bytes {begin} to {end}.");
    }

    private static List<long> ReadNumbers(ref Utf8JsonReader reader, string what, int atMost, string path)
    {
        var numbers = new List<long>();
        Expect(ref reader, JsonTokenType.StartArray, what, path);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0 || numbers.Count == atMost)
            {
                throw new SafetensorsException(path, $"expected '{what}' to be at most {atMost} whole numbers from 0 to 2^63 - 1.");
            }

            numbers.Add(number);
        }

        return numbers;
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType type, string what, string path)
    {
        if (!reader.Read() || reader.TokenType != type)
        {
            throw new SafetensorsException(path, $"expected {type} for '{what}' in the header, got {reader.TokenType}.");
        }
    }
}
