using System.Text.RegularExpressions;

namespace Dalle.Data.Filters;

/// <summary>Recognises captions made by cameras, scanners and web pages: such as say when or by whom, never what.</summary>
internal static partial class Boilerplate
{
    private const string Month = @"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)\.?";
    private const string Day = @"\d{1,2}(st|nd|rd|th)?";
    private const string Time = @"(,?\s*(at\s+)?\d{1,2}[:.]\d{2}([:.]\d{2})?(\s*[ap]\.?m\.?)?)?";
    private const string Date = $@"(\d{{1,4}}[-/.:]\d{{1,2}}[-/.:]\d{{1,4}}|({Day}\s+(of\s+)?)?{Month}(\s+{Day})?(,?\s*\d{{4}})?|(19|20)\d\d){Time}";

    private const RegexOptions Options = RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    [GeneratedRegex($@"\b((this|the)\s+)?((photo(graph)?|picture|image|pic|scan)\s+)?(was\s+)?(photographed|taken|captured|shot|uploaded|posted|created|scanned|added|published|dated)\s+(on|in|at|from)?\s*(the\s+)?{Date}", Options)]
    private static partial Regex Dated();

    [GeneratedRegex($@"^\W*((photo(graph)?|picture|image)\s+(of|from|on)\s+)?{Date}\W*$", Options)]
    private static partial Regex OnlyDate();

    [GeneratedRegex(@"^\W*(img|dsc[nf]?|dscf|pict|mvi|vid|screen\s?shot|scan|image|photo|picture|untitled|file|p|wp|pxl)?[-_ (]*\d[-_\d ()]*(\.(jpe?g|png|gif|webp|bmp|tiff?))?\W*$", Options)]
    private static partial Regex CameraName();

    [GeneratedRegex(@"\.(jpe?g|png|gif|webp|bmp|tiff?)$", Options)]
    private static partial Regex FileName();

    [GeneratedRegex(@"^\W*(untitled|image|photo|picture|no\s+(description|caption|title)(\s+(available|provided))?|click\s+(here\s+)?(to|for)\s+(enlarge|view|see)\b.*|(view\s+)?(larger|full\s*size)\s+(image|picture|photo)|(copyright|\(c\)|\u00a9)\b.*|all\s+rights\s+reserved\b.*|(stock\s+)?(photo|image|picture)\s+(by|credit|courtesy)\b.*)\W*$", Options)]
    private static partial Regex WebPage();

    /// <summary>Whether nothing is left of the caption without its boiler-plate.</summary>
    public static bool IsAll(string caption) =>
        OnlyDate().IsMatch(caption) || CameraName().IsMatch(caption) || WebPage().IsMatch(caption)
        || (FileName().IsMatch(caption) && !caption.Contains(' ', StringComparison.Ordinal))
        || (Dated().IsMatch(caption) && Dated().Replace(caption, " ").Count(char.IsLetter) < 3);
}
