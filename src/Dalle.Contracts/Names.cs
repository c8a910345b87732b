namespace Dalle.Contracts;

/// <summary>Names that people choose (jobs, models): they become grain keys and folder names, so they are short and plain.</summary>
public static class Names
{
    /// <summary>Longest name, in characters.</summary>
    public const int MaxLength = 64;

    /// <summary>Whether a text is a name: letters, digits, dot, dash and underscore, not beginning with a dot, at most <see cref="MaxLength"/>.</summary>
    public static bool IsValid(string? name) => name is { Length: > 0 and <= MaxLength } && name[0] != '.'
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    /// <summary>Lets a name through.</summary>
    /// <exception cref="InvalidRequestException">It is not one.</exception>
    public static string Check(string? name, string parameter) => IsValid(name) ? name! : throw new InvalidRequestException(
        $"'{name}' cannot be used as {parameter}: expected 1 to {MaxLength} letters, digits, dots, dashes or underscores, not beginning with a dot.", parameter);
}
