using System.Runtime.InteropServices;

namespace Dalle.Data.Tokenization;

/// <summary>Trains a byte-level BPE vocabulary: again and again the most frequent pair of neighbouring tokens becomes a token. Ties go to the pair of lower ids, so the same captions give the same vocabulary.</summary>
public sealed class BpeTrainer
{
    /// <summary>The bytes alone.</summary>
    public const int MinVocabulary = 256;

    private readonly List<string> _tokens = [.. ByteAlphabet.InByteOrder.Select(letter => letter.ToString())];
    private readonly List<(string, string)> _merges = [];
    private readonly List<Word> _words;
    private readonly Dictionary<(int Left, int Right), Pair> _pairs = [];
    private readonly PriorityQueue<(int Left, int Right, long Count), (long NegativeCount, int Left, int Right)> _queue = new();

    private BpeTrainer(IEnumerable<string> captions)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var caption in captions)
        {
            var text = PreTokenization.Normalize(caption);
            foreach (var match in PreTokenization.Pattern.EnumerateMatches(text))
            {
                var word = text.Substring(match.Index, match.Length);
                CollectionsMarshal.GetValueRefOrAddDefault(counts, word, out _)++;
            }
        }

        var ids = ByteAlphabet.InByteOrder.Select((letter, id) => (letter, id)).ToDictionary(p => p.letter, p => p.id);
        _words = [.. counts.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => new Word([.. ByteAlphabet.Encode(pair.Key).Select(letter => ids[letter])], pair.Value))];
    }

    /// <summary>Trains on captions, read once.</summary>
    /// <param name="captions">The captions; lower-cased here.</param>
    /// <param name="vocabulary">Tokens wanted, at least <see cref="MinVocabulary"/>. Fewer come out when the captions have no more pairs that occur twice.</param>
    /// <param name="cancellationToken">Ends the training.</param>
    public static BpeVocabulary Train(IEnumerable<string> captions, int vocabulary, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, MinVocabulary);
        var trainer = new BpeTrainer(captions);
        trainer.CountPairs();
        while (trainer._tokens.Count < vocabulary && trainer.MergeBest())
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        return new(trainer._tokens, trainer._merges);
    }

    private void CountPairs()
    {
        for (var index = 0; index < _words.Count; index++)
        {
            var word = _words[index];
            for (var i = 0; i + 1 < word.Tokens.Count; i++)
            {
                Count((word.Tokens[i], word.Tokens[i + 1]), word.Count, index);
            }
        }

        foreach (var key in _pairs.Keys)
        {
            Enqueue(key);
        }
    }

    private bool MergeBest()
    {
        while (_queue.TryDequeue(out var best, out _))
        {
            var key = (best.Left, best.Right);
            if (!_pairs.TryGetValue(key, out var pair) || pair.Count != best.Count)
            {
                continue;
            }

            if (pair.Count < 2)
            {
                return false;
            }

            _pairs.Remove(key);
            _merges.Add((_tokens[best.Left], _tokens[best.Right]));
            _tokens.Add(_tokens[best.Left] + _tokens[best.Right]);
            var changed = new HashSet<(int, int)>();
            foreach (var index in pair.Words)
            {
                Merge(index, key, _tokens.Count - 1, changed);
            }

            foreach (var neighbour in changed)
            {
                Enqueue(neighbour);
            }

            return true;
        }

        return false;
    }

    private void Merge(int index, (int Left, int Right) key, int merged, HashSet<(int, int)> changed)
    {
        var (tokens, count) = _words[index];
        for (var i = 0; i + 1 < tokens.Count; i++)
        {
            if ((tokens[i], tokens[i + 1]) != key)
            {
                continue;
            }

            if (i > 0)
            {
                Change((tokens[i - 1], key.Left), -count);
                Change((tokens[i - 1], merged), count);
            }

            if (i + 2 < tokens.Count)
            {
                Change((key.Right, tokens[i + 2]), -count);
                Change((merged, tokens[i + 2]), count);
            }

            tokens[i] = merged;
            tokens.RemoveAt(i + 1);
        }

        void Change((int, int) pair, long by)
        {
            if (pair != key)
            {
                Count(pair, by, index);
                changed.Add(pair);
            }
        }
    }

    private void Count((int, int) key, long by, int word)
    {
        ref var pair = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, key, out var known);
        if (!known)
        {
            pair = new Pair();
        }

        pair!.Count += by;
        pair.Words.Add(word);
    }

    // Counts change while queued: the old entry stays and is passed over when it comes up, because its count no longer holds.
    private void Enqueue((int Left, int Right) key)
    {
        if (_pairs.TryGetValue(key, out var pair) && pair.Count > 0)
        {
            _queue.Enqueue((key.Left, key.Right, pair.Count), (-pair.Count, key.Left, key.Right));
        }
    }

    private sealed record Word(List<int> Tokens, long Count);

    private sealed class Pair
    {
        public long Count { get; set; }

        public SortedSet<int> Words { get; } = [];
    }
}
