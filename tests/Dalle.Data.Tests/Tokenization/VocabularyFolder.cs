using Dalle.Data.Tokenization;

namespace Dalle.Data.Tests.Tokenization;

internal static class VocabularyFolder
{
    /// <summary>Writes both files into a folder.</summary>
    public static void WriteTo(this BpeVocabulary vocabulary, string folder)
    {
        using var tokens = File.Create(Path.Combine(folder, BpeVocabulary.TokensFile));
        using var merges = File.Create(Path.Combine(folder, BpeVocabulary.MergesFile));
        vocabulary.WriteTokens(tokens);
        vocabulary.WriteMerges(merges);
    }
}
