using System.Text.RegularExpressions;

namespace Dalle.Data.Tokenization;

/// <summary>How a caption falls into words before BPE: lower case, then GPT-2's pattern. Merges never cross words.</summary>
internal static partial class PreTokenization
{
    /// <summary>GPT-2's pattern: contractions, words, numbers and other runs, each with the space before it.</summary>
    [GeneratedRegex(@"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    public static partial Regex Pattern { get; }

    /// <summary>Lower case, the same on every machine.</summary>
    public static string Normalize(string caption) => caption.ToLowerInvariant();
}
