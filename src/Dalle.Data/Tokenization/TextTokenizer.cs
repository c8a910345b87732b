using System.Text;
using Dalle.Data.Randomness;
using Microsoft.ML.Tokenizers;

namespace Dalle.Data.Tokenization;

/// <summary>Captions to text tokens: lower case, byte-level BPE. Microsoft.ML.Tokenizers encodes; only BPE dropout has a merge loop of its own.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class TextTokenizer
{
    private readonly BpeVocabulary _vocabulary;
    private readonly BpeTokenizer _tokenizer;
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<(string, string), int> _ranks;

    public TextTokenizer(BpeVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _ids = vocabulary.Tokens.Select((token, id) => (token, id)).ToDictionary(p => p.token, p => p.id, StringComparer.Ordinal);
        _ranks = vocabulary.Merges.Select((pair, rank) => (pair, rank)).ToDictionary(p => p.pair, p => p.rank);
        _tokenizer = BpeTokenizer.Create(new BpeOptions(_ids)
        {
            Merges = vocabulary.Merges.Select(merge => $"{merge.Left} {merge.Right}"),
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(PreTokenization.Pattern, specialTokens: null),
        });
    }

    /// <summary>Tokens there are.</summary>
    public int VocabularySize => _vocabulary.Tokens.Count;

    /// <summary>Reads a tokenizer from the folder that holds its two files.</summary>
    /// <exception cref="InvalidDataException">A file is missing or damaged; the message names it.</exception>
    public static TextTokenizer Load(string folder) => new(BpeVocabulary.Read(folder));

    /// <summary>The caption's text tokens, all of them.</summary>
    public IReadOnlyList<int> Encode(string caption) => _tokenizer.EncodeToIds(PreTokenization.Normalize(caption));

    /// <summary>The caption's text tokens with BPE dropout: each possible merge is left out with a probability, so that words come in several spellings (Provilkov et al., 2020).</summary>
    /// <param name="caption">The caption.</param>
    /// <param name="dropout">Probability from 0 to 1; 0 gives <see cref="Encode(string)"/>'s tokens.</param>
    /// <param name="key">Decides which merges: the same key drops the same.</param>
    public IReadOnlyList<int> Encode(string caption, double dropout, ulong key)
    {
        if (dropout <= 0)
        {
            return Encode(caption);
        }

        var random = new KeyedRandom(key);
        var text = PreTokenization.Normalize(caption);
        var tokens = new List<int>();
        foreach (var match in PreTokenization.Pattern.EnumerateMatches(text))
        {
            var pieces = ByteAlphabet.Encode(text.AsSpan(match.Index, match.Length)).Select(letter => letter.ToString()).ToList();
            while (FindMerge(pieces, dropout, ref random) is >= 0 and var at)
            {
                pieces[at] += pieces[at + 1];
                pieces.RemoveAt(at + 1);
            }

            tokens.AddRange(pieces.Select(piece => _ids[piece]));
        }

        return tokens;
    }

    /// <summary>The text of tokens; bytes cut out of a character become U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A token is not of this vocabulary.</exception>
    public string Decode(IEnumerable<int> tokens)
    {
        var letters = new StringBuilder();
        foreach (var token in tokens)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(token, nameof(tokens));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(token, VocabularySize, nameof(tokens));
            letters.Append(_vocabulary.Tokens[token]);
        }

        return ByteAlphabet.Decode(letters.ToString());
    }

    /// <summary>Where the earliest merge stands among those not dropped this time; -1 if there is none.</summary>
    private int FindMerge(List<string> pieces, double dropout, ref KeyedRandom random)
    {
        var (best, at) = (int.MaxValue, -1);
        for (var i = 0; i + 1 < pieces.Count; i++)
        {
            if (_ranks.TryGetValue((pieces[i], pieces[i + 1]), out var rank) && rank < best && random.NextDouble() >= dropout)
            {
                (best, at) = (rank, i);
            }
        }

        return at;
    }
}
