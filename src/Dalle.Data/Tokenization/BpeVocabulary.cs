using System.Text;
using System.Text.Json;

namespace Dalle.Data.Tokenization;

/// <summary>A byte-level BPE vocabulary: the 256 bytes, then one token per merge, in order of the merges. Kept in the field's two files.</summary>
/// <param name="Tokens">Every token, spelt in the byte alphabet, by id.</param>
/// <param name="Merges">The pairs to merge, first to last.</param>
public sealed record BpeVocabulary(IReadOnlyList<string> Tokens, IReadOnlyList<(string Left, string Right)> Merges)
{
    /// <summary>Usual name of the file that maps tokens to ids.</summary>
    public const string TokensFile = "vocab.json";

    /// <summary>Usual name of the file that lists the merges.</summary>
    public const string MergesFile = "merges.txt";

    /// <summary>Largest file read, in bytes.</summary>
    private const int MaxFileBytes = 64 << 20;

    private const string Header = "#version: 0.2";

    /// <summary>Writes token to id as JSON.</summary>
    public void WriteTokens(Stream stream)
    {
        using var writer = new Utf8JsonWriter(stream);
        writer.WriteStartObject();
        for (var id = 0; id < Tokens.Count; id++)
        {
            writer.WriteNumber(Tokens[id], id);
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes the merges, one pair a line.</summary>
    public void WriteMerges(Stream stream)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(Header);
        foreach (var (left, right) in Merges)
        {
            writer.WriteLine($"{left} {right}");
        }
    }

    /// <summary>Reads the two files from a folder.</summary>
    /// <exception cref="InvalidDataException">A file is missing, too large, or not what it should be; the message names it.</exception>
    public static BpeVocabulary Read(string folder)
    {
        var tokens = ReadTokens(Path.Combine(folder, TokensFile));
        var merges = ReadMerges(Path.Combine(folder, MergesFile), tokens);
        return new(tokens, merges);
    }

    private static string[] ReadTokens(string path)
    {
        Dictionary<string, int> ids;
        try
        {
            ids = JsonSerializer.Deserialize<Dictionary<string, int>>(ReadBounded(path)) ?? [];
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"'{path}' is not a vocabulary: expected a JSON object of token to id ({error.Message}).");
        }

        var tokens = new string?[ids.Count];
        foreach (var (token, id) in ids)
        {
            if (id < 0 || id >= tokens.Length || tokens[id] is not null)
            {
                throw new InvalidDataException($"'{path}' gives token '{token}' the id {id}: expected each of 0 to {tokens.Length - 1} once.");
            }

            tokens[id] = token;
        }

        if (ByteAlphabet.InByteOrder.FirstOrDefault(letter => !ids.ContainsKey(letter.ToString())) is var missing && missing != default)
        {
            throw new InvalidDataException($"'{path}' lacks the token '{missing}': a byte-level vocabulary has all 256 bytes.");
        }

        return tokens!;
    }

    private static List<(string Left, string Right)> ReadMerges(string path, string[] tokens)
    {
        var known = tokens.ToHashSet(StringComparer.Ordinal);
        var merges = new List<(string, string)>();
        foreach (var line in Encoding.UTF8.GetString(ReadBounded(path)).Split('\n').Select(line => line.TrimEnd('\r')))
        {
            if (line.Length == 0 || line.StartsWith("#version", StringComparison.Ordinal))
            {
                continue;
            }

            if (line.Split(' ') is not [var left, var right] || !known.Contains(left) || !known.Contains(right) || !known.Contains(left + right))
            {
                throw new InvalidDataException($"'{path}' has a merge '{(line.Length > 80 ? line[..80] : line)}': expected two tokens of the vocabulary whose join is one too.");
            }

            merges.Add((left, right));
        }

        return merges;
    }

    private static byte[] ReadBounded(string path) => new FileInfo(path) switch
    {
        { Exists: false } => throw new InvalidDataException($"'{path}' is missing: a tokenizer is the two files {TokensFile} and {MergesFile}."),
        { Length: > MaxFileBytes } file => throw new InvalidDataException($"'{path}' has {file.Length} bytes; at most {MaxFileBytes} are read."),
        _ => File.ReadAllBytes(path),
    };
}
