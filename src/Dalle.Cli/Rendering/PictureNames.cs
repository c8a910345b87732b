namespace Dalle.Cli.Rendering;

/// <summary>File names that tell what a picture shows.</summary>
internal static class PictureNames
{
    private const int MaxLength = 60;

    /// <summary>A prompt in lower-case letters, digits and dashes.</summary>
    public static string Of(string prompt)
    {
        var words = string.Concat(prompt.ToLowerInvariant().Select(letter => char.IsLetterOrDigit(letter) ? letter : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var name = string.Join('-', words);
        return name.Length == 0 ? "picture" : name.Length <= MaxLength ? name : name[..MaxLength].TrimEnd('-');
    }
}
