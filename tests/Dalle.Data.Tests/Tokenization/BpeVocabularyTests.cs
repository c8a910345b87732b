using Dalle.Data.Tests.Sources;
using Dalle.Data.Tokenization;

namespace Dalle.Data.Tests.Tokenization;

public sealed class BpeVocabularyTests : IDisposable
{
    private static readonly BpeVocabulary Vocabulary = BpeTrainer.Train(Enumerable.Repeat("a red caf\u00E9 \"quoted\" \\ \uD83D\uDE00 <b>", 2), 300);

    private readonly TemporaryFolder _folder = new();

    public BpeVocabularyTests() => Vocabulary.WriteTo(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_OfWhatWasWritten_IsTheSame()
    {
        var again = BpeVocabulary.Read(_folder.Path);

        Assert.Equal(Vocabulary.Tokens, again.Tokens);
        Assert.Equal(Vocabulary.Merges, again.Merges);
        Assert.NotEmpty(again.Merges);
    }

    [Fact]
    public void Read_OfWindowsLineEnds_IsTheSame()
    {
        _folder.Write(BpeVocabulary.MergesFile, File.ReadAllText(_folder[BpeVocabulary.MergesFile]).Replace("\n", "\r\n", StringComparison.Ordinal));
        Assert.Equal(Vocabulary.Merges, BpeVocabulary.Read(_folder.Path).Merges);
    }

    [Theory]
    [InlineData(BpeVocabulary.TokensFile)]
    [InlineData(BpeVocabulary.MergesFile)]
    public void Read_WithoutAFile_NamesIt(string file)
    {
        File.Delete(_folder[file]);
        Refused($"{file}' is missing");
    }

    [Theory]
    [InlineData("[1, 2]", "expected a JSON object of token to id")]
    [InlineData("{\"a\": 0", "expected a JSON object of token to id")]
    [InlineData("{\"a\": 0, \"b\": 0}", "the id 0: expected each of 0 to 1 once")]
    [InlineData("{\"a\": 0, \"b\": 2}", "the id 2: expected each of 0 to 1 once")]
    [InlineData("{\"a\": -1}", "the id -1: expected each of 0 to 0 once")]
    [InlineData("{\"a\": 0}", "lacks the token '\u0100'")]
    public void Read_OfATokensFileThatIsNone_SaysWhatIsWrong(string content, string fault)
    {
        _folder.Write(BpeVocabulary.TokensFile, content);
        Refused(fault);
    }

    [Theory]
    [InlineData("a b c")]
    [InlineData("a")]
    [InlineData("z q")]
    [InlineData("unknown a")]
    public void Read_OfAMergeThatIsNone_ShowsIt(string line)
    {
        _folder.Write(BpeVocabulary.MergesFile, $"#version: 0.2\n{line}\n");
        Refused($"a merge '{line}'");
    }

    private void Refused(string fault) =>
        Assert.Contains(fault, Assert.Throws<InvalidDataException>(() => BpeVocabulary.Read(_folder.Path)).Message, StringComparison.Ordinal);
}
