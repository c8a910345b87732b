using System.Globalization;

namespace Dalle.Cli.Rendering;

/// <summary>Numbers as people read them, the same in every culture.</summary>
internal static class Figures
{
    /// <summary>Whole numbers with thousands separated: <c>1,240</c>.</summary>
    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Minutes and seconds, hours where there are any: <c>1:12</c>, <c>2:05:00</c>.</summary>
    public static string Duration(TimeSpan value) => value.TotalHours >= 1
        ? string.Create(CultureInfo.InvariantCulture, $"{(int)value.TotalHours}:{value.Minutes:00}:{value.Seconds:00}")
        : string.Create(CultureInfo.InvariantCulture, $"{value.Minutes}:{value.Seconds:00}");

    /// <summary>Four significant digits; very small and very large values in powers of ten.</summary>
    public static string Loss(double value) => Math.Abs(value) is (>= 1e-3 and < 1e5) or 0
        ? value.ToString(Math.Abs(value) >= 1000 ? "0" : Math.Abs(value) >= 10 ? "0.00" : "0.0000", CultureInfo.InvariantCulture)
        : value.ToString("0.00e0", CultureInfo.InvariantCulture);

    /// <summary>A speed or a figure of which whole units matter: <c>612</c>, <c>26.4</c>.</summary>
    public static string Rate(double value) => value >= 100 ? Count((long)Math.Round(value)) : value.ToString("0.0", CultureInfo.InvariantCulture);

    /// <summary>A size: <c>512 B</c>, <c>17.2 MB</c>.</summary>
    public static string Bytes(long value) => value switch
    {
        < 1000 => $"{value} B",
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1e3:0.0} kB"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1e6:0.0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{value / 1e9:0.0} GB"),
    };

    /// <summary>A share in percent where tenths matter: <c>85.9 %</c>.</summary>
    public static string PercentToATenth(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %");

    /// <summary>A share in percent: <c>41 %</c>.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0} %");
}
