using Dalle.Data.Randomness;
using Dalle.Data.Tokenization;

namespace Dalle.Data.Tests.Tokenization;

public sealed class BpeTrainerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // Worked out by hand. "aab aab": (a,a) and (a,b) occur twice each, and lower ids win; then (aa,b) does; the space before the second word occurs once.
    // "ababab": (a,b) three times; then (ab,ab) twice, which leaves "abab ab". "aaaa": one merge leaves (aa,aa) once.
    [Theory]
    [InlineData("aab aab", "a a", "aa b")]
    [InlineData("ababab", "a b", "ab ab")]
    [InlineData("aaaa", "a a")]
    [InlineData("the the the", "h e", "t he", "\u0120 the")]
    [InlineData("abc")]
    [InlineData("")]
    public void Train_OnAFewLetters_MergesAsByHand(string caption, params string[] merges)
    {
        var vocabulary = BpeTrainer.Train([caption], 1000, Token);

        Assert.Equal(merges, vocabulary.Merges.Select(merge => $"{merge.Left} {merge.Right}"));
        Assert.Equal(ByteAlphabet.InByteOrder.Select(letter => letter.ToString()).Concat(merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal))), vocabulary.Tokens);
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5)]
    public void Train_OnRandomCaptions_EqualsCountingEverythingAnewForEveryMerge(ulong seed)
    {
        var random = new KeyedRandom(seed);
        var captions = new List<string>();
        for (var i = 0; i < 60; i++)
        {
            var letters = new char[random.NextInt(1, 24)];
            for (var at = 0; at < letters.Length; at++)
            {
                letters[at] = "aab \u00E9"[random.NextInt(5)];
            }

            captions.Add(new string(letters));
        }

        Assert.Equal(CountedAnew(captions, 400), BpeTrainer.Train(captions, 400, Token).Merges);
    }

    [Fact]
    public void Train_StopsAtTheVocabularyAskedFor()
    {
        var captions = Enumerable.Repeat("a large red circle above a small blue square", 3);
        Assert.Equal(256, BpeTrainer.Train(captions, 256, Token).Tokens.Count);
        Assert.Equal(260, BpeTrainer.Train(captions, 260, Token).Tokens.Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train(captions, 255, Token));
    }

    [Fact]
    public void Train_IsTheSameInAnyOrderAndCase()
    {
        string[] captions = ["a red cat", "the blue cat", "a blue cat", "red and blue"];
        var merges = BpeTrainer.Train(captions, 300, Token).Merges;

        Assert.NotEmpty(merges);
        Assert.Equal(merges, BpeTrainer.Train(captions.Reverse(), 300, Token).Merges);
        Assert.Equal(merges, BpeTrainer.Train(captions.Select(caption => caption.ToUpperInvariant()), 300, Token).Merges);
    }

    [Fact]
    public void Train_NeverMergesAcrossWords() =>
        Assert.All(BpeTrainer.Train(Enumerable.Repeat("red cat 12 cats, 'tis", 9), 1000, Token).Tokens.Skip(256), token =>
            Assert.Single(PreTokenization.Pattern.Matches(ByteAlphabet.Decode(token))));

    [Fact]
    public void Train_Cancelled_Ends() =>
        Assert.Throws<OperationCanceledException>(() => BpeTrainer.Train(["a cat a cat a cat"], 300, new CancellationToken(canceled: true)));

    /// <summary>The algorithm as it is defined, without any bookkeeping.</summary>
    private static List<(string, string)> CountedAnew(List<string> captions, int vocabulary)
    {
        var tokens = ByteAlphabet.InByteOrder.Select(letter => letter.ToString()).ToList();
        var words = captions.SelectMany(caption => PreTokenization.Pattern.Matches(caption)).Select(word => ByteAlphabet.Encode(word.Value).Select(letter => tokens.IndexOf(letter.ToString())).ToList()).ToList();
        var merges = new List<(string, string)>();
        while (tokens.Count < vocabulary)
        {
            var pairs = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair).OrderByDescending(pair => pair.Count()).ThenBy(pair => pair.Key).ToList();
            if (pairs.Count == 0 || pairs[0].Count() < 2)
            {
                break;
            }

            var (left, right) = pairs[0].Key;
            merges.Add((tokens[left], tokens[right]));
            tokens.Add(tokens[left] + tokens[right]);
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if ((word[i], word[i + 1]) == (left, right))
                    {
                        word[i] = tokens.Count - 1;
                        word.RemoveAt(i + 1);
                    }
                }
            }
        }

        return merges;
    }
}
