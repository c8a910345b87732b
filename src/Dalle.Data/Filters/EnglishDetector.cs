using System.Collections.Frozen;

namespace Dalle.Data.Filters;

/// <summary>
/// Tells captions that are plainly in another language than English, by their script and their function words. It compares with German, French, Spanish, Italian,
/// Portuguese and Dutch; a text in another language of the Latin script is found only by its accents. A text that gives no sign (two nouns, a name) is taken for English:
/// of short captions it lets many foreign ones through and loses few English ones.
/// </summary>
public static class EnglishDetector
{
    private static readonly FrozenSet<string> English = Words(
        "the of and to in is it that with for on as at by from an are was this be or have has not but his her their its which who were been one two you your my we our she he they "
        + "over under near next behind into some there while two three people standing sitting holding wearing front top side a i");

    private static readonly FrozenSet<string>[] Others =
    [
        Words("der die das und ist im mit auf ein eine einen einem einer den dem des von zu nicht sich auch es wird aus nach bei oder zwei vor unter ihr ihre sein seine neben zwischen am zum zur"),
        Words("le la les des une et est dans avec sur un du de au aux qui que en pour par ne pas ce cette ces son sa ses il elle deux sous devant leur plus ou"),
        Words("el los las una y es en con un del de la que por para se su sus al como no lo dos sobre esta este junto entre hay cerca muy o"),
        Words("il lo gli una e di che con un della del nel nella per su sul sulla alla le la i sono non si da due dei delle al in questo questa vicino"),
        Words("o os as um uma e de do da dos das no na nos nas com em que para por se ao duas dois sobre seu sua sobre entre perto foto"),
        Words("de het een en van is op met dat in zijn niet voor aan te er bij uit naar door om ook twee tussen onder naast ligt staat zit zittend rijdt"),
    ];

    /// <summary>False if the text is plainly not English.</summary>
    public static bool MayBeEnglish(string text)
    {
        var (latin, letters) = (text.Count(IsLatin), text.Count(char.IsLetter));
        if (letters == 0)
        {
            return true;
        }
        if (latin < 0.8 * letters)
        {
            return false;
        }
        var words = text.ToLowerInvariant().Split([' ', ',', '.', ';', ':', '!', '?', '"', '(', ')', '\'', '\u2019', '/', '-'], StringSplitOptions.RemoveEmptyEntries);
        var english = words.Count(English.Contains);
        var other = Others.Max(language => words.Count(language.Contains));
        return english == other ? 3 * words.Count(HasAccent) <= words.Length : english > other;
    }

    private static bool IsLatin(char letter) => char.IsLetter(letter) && letter is < '\u0250' or (>= '\u1E00' and <= '\u1EFF');

    private static bool HasAccent(string word) => word.Any(letter => letter > '\u007F' && char.IsLetter(letter));

    private static FrozenSet<string> Words(string list) => list.Split(' ').ToFrozenSet(StringComparer.Ordinal);
}
