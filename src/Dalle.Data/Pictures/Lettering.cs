namespace Dalle.Data.Pictures;

/// <summary>
/// Draws short texts into a picture with a built-in font: the same on every machine, and no font files or font service needed.
/// ASCII only; any other character is drawn as a box.
/// </summary>
internal static class Lettering
{
    /// <summary>Pixels from one letter to the next.</summary>
    public const int Advance = 6;

    /// <summary>Pixels from one line to the next.</summary>
    public const int LineHeight = 10;

    // Five columns per character from ' ' to '~'; the lowest bit is the top row, the highest the descender's.
    private static readonly byte[] Columns = Convert.FromHexString(
        "0000000000" + "00005F0000" + "0007000700" + "147F147F14" + "242A7F2A12" + "2313086462" + "3649562050" + "0008070300" + //  !"#$%&'
        "001C224100" + "0041221C00" + "2A1C7F1C2A" + "08083E0808" + "0080703000" + "0808080808" + "0000606000" + "2010080402" + // ()*+,-./
        "3E5149453E" + "00427F4000" + "7249494946" + "2141494D33" + "1814127F10" + "2745454539" + "3C4A494931" + "4121110907" + // 01234567
        "3649494936" + "464949291E" + "0000140000" + "0040340000" + "0008142241" + "1414141414" + "0041221408" + "0201590906" + // 89:;<=>?
        "3E415D594E" + "7C1211127C" + "7F49494936" + "3E41414122" + "7F4141413E" + "7F49494941" + "7F09090901" + "3E41415173" + // @ABCDEFG
        "7F0808087F" + "00417F4100" + "2040413F01" + "7F08142241" + "7F40404040" + "7F021C027F" + "7F0408107F" + "3E4141413E" + // HIJKLMNO
        "7F09090906" + "3E4151215E" + "7F09192946" + "2649494932" + "03017F0103" + "3F4040403F" + "1F2040201F" + "3F4038403F" + // PQRSTUVW
        "6314081463" + "0304780403" + "6159494D43" + "007F414141" + "0204081020" + "004141417F" + "0402010204" + "4040404040" + // XYZ[\]^_
        "0003070800" + "2054547840" + "7F28444438" + "3844444428" + "384444287F" + "3854545418" + "00087E0902" + "18A4A49C78" + // `abcdefg
        "7F08040478" + "00447D4000" + "2040403D00" + "7F10284400" + "00417F4000" + "7C04780478" + "7C08040478" + "3844444438" + // hijklmno
        "FC18242418" + "18242418FC" + "7C08040408" + "4854545424" + "04043F4424" + "3C4040207C" + "1C2040201C" + "3C4030403C" + // pqrstuvw
        "4428102844" + "4C9090907C" + "4464544C44" + "0008364100" + "0000770000" + "0041360800" + "0201020402");                 // xyz{|}~

    private static readonly byte[] Box = [0x7F, 0x41, 0x41, 0x41, 0x7F];

    /// <summary>Breaks a text into lines of at most <paramref name="width"/> pixels, between words where it can; what does not fit ends in "..".</summary>
    public static IReadOnlyList<string> Break(string text, int width, int maxLines)
    {
        var perLine = Math.Max(3, (width + 1) / Advance);
        var lines = new List<string>();
        var rest = text.Trim();
        while (rest.Length > 0 && lines.Count < maxLines)
        {
            if (rest.Length <= perLine)
            {
                lines.Add(rest);
                return lines;
            }
            if (lines.Count == maxLines - 1)
            {
                lines.Add(string.Concat(rest.AsSpan(0, perLine - 2).TrimEnd(), ".."));
                return lines;
            }
            var space = rest.LastIndexOf(' ', perLine);
            var end = space > 0 ? space : perLine;
            lines.Add(rest[..end]);
            rest = rest[end..].TrimStart();
        }
        return lines;
    }

    /// <summary>Draws one line in black, its top left corner at (left, top); what falls outside the picture is cut off.</summary>
    public static void Draw(Picture onto, string line, int left, int top)
    {
        foreach (var letter in line)
        {
            var glyph = letter is >= ' ' and <= '~' ? Columns.AsSpan((letter - ' ') * 5, 5) : Box;
            for (var column = 0; column < 5; column++)
            {
                for (var row = 0; row < 8; row++)
                {
                    var (x, y) = (left + column, top + row);
                    if ((glyph[column] >> row & 1) == 1 && x >= 0 && x < onto.Width && y >= 0 && y < onto.Height)
                    {
                        onto.Rgb.AsSpan(3 * (y * onto.Width + x), 3).Clear();
                    }
                }
            }
            left += Advance;
        }
    }
}
