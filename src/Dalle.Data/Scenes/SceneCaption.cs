using System.Diagnostics.CodeAnalysis;

namespace Dalle.Data.Scenes;

/// <summary>Captions of scenes: a few fixed templates over "large red circle" and "above", "below", "left of", "right of". Size is always named.</summary>
public static class SceneCaption
{
    private static readonly string[] OneTemplates = ["a {0}", "one {0}", "a picture of one {0}"];
    private static readonly string[] TwoTemplates = ["a {0} {1} a {2}", "two shapes, a {0} {1} a {2}", "a picture of a {0} {1} a {2}"];

    /// <summary>Everything that may stand before the objects, longest first.</summary>
    private static readonly string[] Openings = ["a picture of one ", "a picture of a ", "two shapes, a ", "one ", "a "];

    /// <summary>The plainest caption, such as "a large red circle above a small blue square".</summary>
    public static string Of(SceneDescription description) => Fill(description, 0);

    /// <summary>All captions of a scene, the plainest first: 3 of one object, 6 of two (each of the two named first in turn).</summary>
    public static IReadOnlyList<string> AllOf(SceneDescription description)
    {
        IEnumerable<SceneDescription> views = description.Count == 1 ? [description] : [description, description.Reversed()];
        return [.. from template in Enumerable.Range(0, OneTemplates.Length) from view in views select Fill(view, template)];
    }

    /// <summary>What a caption asks for; the inverse of <see cref="AllOf"/>. Case and surrounding white space do not matter.</summary>
    /// <exception cref="FormatException">The caption is not one of a scene.</exception>
    public static SceneDescription Parse(string caption) => TryParse(caption, out var description)
        ? description
        : throw new FormatException($"'{caption}' is not a caption of a scene; expected one like 'a large red circle above a small blue square'.");

    public static bool TryParse(string caption, [NotNullWhen(true)] out SceneDescription? description)
    {
        description = null;
        var text = caption.Trim().ToLowerInvariant();
        if (Openings.FirstOrDefault(opening => text.StartsWith(opening, StringComparison.Ordinal)) is not { } opening)
        {
            return false;
        }

        text = text[opening.Length..];
        if (TryParseObject(text, out var only))
        {
            description = new SceneDescription(only);
            return true;
        }

        foreach (var relation in Enum.GetValues<SceneRelation>())
        {
            if (text.Split($" {Phrase(relation)} a ") is [var before, var after]
                && TryParseObject(before, out var first) && TryParseObject(after, out var second))
            {
                description = new SceneDescription(first, relation, second);
                return true;
            }
        }

        return false;
    }

    private static string Fill(SceneDescription description, int template) => description is { Relation: { } relation, Second: { } second }
        ? string.Format(null, TwoTemplates[template], Words(description.First), Phrase(relation), Words(second))
        : string.Format(null, OneTemplates[template], Words(description.First));

    private static string Words(SceneObject item) => $"{item.Size} {item.Color} {item.Shape}".ToLowerInvariant();

    private static string Phrase(SceneRelation relation) => relation switch
    {
        SceneRelation.Above => "above",
        SceneRelation.Below => "below",
        SceneRelation.LeftOf => "left of",
        _ => "right of",
    };

    private static bool TryParseObject(string words, out SceneObject item)
    {
        item = default;
        if (words.Split(' ') is [var size, var color, var shape]
            && TryParseWord<SceneSize>(size, out var parsedSize)
            && TryParseWord<SceneColor>(color, out var parsedColor)
            && TryParseWord<SceneShape>(shape, out var parsedShape))
        {
            item = new SceneObject(parsedColor, parsedShape, parsedSize);
            return true;
        }

        return false;
    }

    // Enum.TryParse alone would also take numbers.
    private static bool TryParseWord<T>(string word, out T value)
        where T : struct, Enum =>
        Enum.TryParse(word, ignoreCase: true, out value) && char.IsLetter(word[0]);
}
