using Dalle.Data.Randomness;
using Dalle.Data.Scenes;
using Dalle.Data.Tests.Sources;
using Dalle.Data.Tokenization;
using Microsoft.ML.Tokenizers;

namespace Dalle.Data.Tests.Tokenization;

public sealed class TextTokenizerTests
{
    private static readonly string[] Captions =
    [
        .. ZeroShotCaptions.Seen(50), "Person running, medium-dark skin tone", "don't we'll they've it's", "caf\u00E9 na\u00EFve \u00DCber", "12 cats & 3.5 dogs",
        "\u3042\u3044 \u6F22\u5B57", "\uD83D\uDE00\uD83C\uDFC3\u200D\u2640\uFE0F", "  two  spaces \t tab\nline  ", "", " ", "\u00A0\u0000\u007F\u0130\u01C5\u2028",
    ];

    private static readonly BpeVocabulary Vocabulary = BpeTrainer.Train(Captions.Concat(Captions), 700);
    private static readonly TextTokenizer Tokenizer = new(Vocabulary);

    /// <summary>So seldom that no merge of a test is ever dropped: the merge loop of dropout runs, and merges everything.</summary>
    private const double Never = double.Epsilon;

    [Fact]
    public void Encode_OfTheLibraryAndOfOurMergeLoop_IsTheSame()
    {
        Assert.All(Captions.Concat(Scrambled(400)), caption => Assert.Equal(Tokenizer.Encode(caption), Tokenizer.Encode(caption, Never, key: 1)));
        Assert.True(Tokenizer.Encode(Captions[0]).Count < Captions[0].Length / 3, "Merges are used.");
    }

    [Fact]
    public void Encode_OfTheVocabularyFilesLoadedByTheLibraryAlone_IsTheSame()
    {
        using var folder = new TemporaryFolder();
        Vocabulary.WriteTo(folder.Path);
        var library = BpeTokenizer.Create(new BpeOptions(folder[BpeVocabulary.TokensFile], folder[BpeVocabulary.MergesFile])
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(PreTokenization.Pattern, specialTokens: null),
        });
        var loaded = TextTokenizer.Load(folder.Path);

        Assert.All(Captions, caption =>
        {
            Assert.Equal(library.EncodeToIds(caption.ToLowerInvariant()), loaded.Encode(caption));
            Assert.Equal(Tokenizer.Encode(caption, 0.1, 5), loaded.Encode(caption, 0.1, 5));
        });
    }

    [Fact]
    public void Decode_OfWhatWasEncoded_IsTheCaptionInLowerCase() => Assert.All(Captions, caption =>
    {
        Assert.Equal(caption.ToLowerInvariant(), Tokenizer.Decode(Tokenizer.Encode(caption)));
        Assert.Equal(caption.ToLowerInvariant(), Tokenizer.Decode(Tokenizer.Encode(caption, 0.3, key: 9)));
    });

    [Fact]
    public void Encode_IgnoresCase() => Assert.Equal(Tokenizer.Encode("a red circle"), Tokenizer.Encode("A Red CIRCLE"));

    [Fact]
    public void Encode_MergesAsByHand()
    {
        // Ids 0 to 255 are the bytes; "aab aab" gives 256 = aa, 257 = aab.
        var tokenizer = new TextTokenizer(BpeTrainer.Train(["aab aab"], 300, TestContext.Current.CancellationToken));

        Assert.Equal([257], tokenizer.Encode("aab"));
        Assert.Equal([256, 'a'], tokenizer.Encode("aaa"));
        Assert.Equal(['b', ' ', 257], tokenizer.Encode("b AAB"));
        Assert.Equal(258, tokenizer.VocabularySize);
    }

    [Fact]
    public void Encode_WithDropout_IsAPureFunctionOfTheKey()
    {
        Assert.All(Captions, caption => Assert.Equal(Tokenizer.Encode(caption, 0.1, 42), Tokenizer.Encode(caption, 0.1, 42)));
        Assert.True(Enumerable.Range(0, 50).Select(key => string.Join(' ', Tokenizer.Encode(Captions[0], 0.1, (ulong)key))).Distinct().Count() > 10);
    }

    [Fact]
    public void Encode_WithFullDropout_GivesBytes() =>
        Assert.Equal("a red circle"u8.ToArray().Select(value => (int)value), Tokenizer.Encode("A red circle", 1, key: 3));

    [Fact]
    public void Encode_WithDropout_LeavesOutThatShareOfTheMerges()
    {
        // One possible merge: how often it is left out is the probability itself.
        var tokenizer = new TextTokenizer(BpeTrainer.Train(["ab ab"], 257, TestContext.Current.CancellationToken));
        var apart = Enumerable.Range(0, 10_000).Count(key => tokenizer.Encode("ab", 0.1, KeyedRandom.Key((ulong)key)).Count == 2);

        Assert.InRange(apart, 900, 1100);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(700)]
    public void Decode_OfATokenOutsideTheVocabulary_Throws(int token)
    {
        Assert.InRange(Tokenizer.VocabularySize, 257, 700);
        Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Decode([token]));
    }

    /// <summary>Texts of any characters, halves of surrogate pairs left out.</summary>
    private static IEnumerable<string> Scrambled(int count)
    {
        for (var i = 0; i < count; i++)
        {
            var random = new KeyedRandom((ulong)i);
            var letters = new char[random.NextInt(1, 30)];
            for (var at = 0; at < letters.Length; at++)
            {
                letters[at] = random.NextInt(4) switch
                {
                    0 => (char)random.NextInt(0x20, 0x7E),
                    1 => (char)random.NextInt(0, 0x2FF),
                    2 => (char)random.NextInt(0x2000, 0x4E00),
                    _ => Captions[0][random.NextInt(Captions[0].Length)],
                };
            }

            yield return new string(letters);
        }
    }
}
