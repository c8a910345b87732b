using System.Text;

namespace Dalle.Data.Tokenization;

/// <summary>The printable stand-ins of the 256 bytes in byte-level BPE files (GPT-2): printable Latin-1 stands for itself, the others for U+0100 and up.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Letters = MakeLetters();
    private static readonly Dictionary<char, byte> Bytes = Letters.Select((letter, value) => (letter, value)).ToDictionary(p => p.letter, p => (byte)p.value);

    /// <summary>The stand-ins in order of the bytes.</summary>
    public static IReadOnlyList<char> InByteOrder => Letters;

    /// <summary>A text's UTF-8 bytes as stand-ins.</summary>
    public static string Encode(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        return string.Create(bytes.Length, bytes, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                span[i] = Letters[source[i]];
            }
        });
    }

    /// <summary>The text behind stand-ins; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <exception cref="FormatException">A character stands for no byte.</exception>
    public static string Decode(string letters)
    {
        var bytes = new byte[letters.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = Bytes.TryGetValue(letters[i], out var value) ? value : throw new FormatException($"'{letters[i]}' stands for no byte in a byte-level vocabulary.");
        }

        return Encoding.UTF8.GetString(bytes);
    }

    private static char[] MakeLetters()
    {
        var letters = new char[256];
        var next = (char)256;
        for (var value = 0; value < 256; value++)
        {
            letters[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : next++;
        }

        return letters;
    }
}
