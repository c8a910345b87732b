using System.CommandLine;
using System.Globalization;

namespace Dalle.Cli.Commands;

/// <summary>Values that options take, checked while parsing, so that a bad value is a usage error and nothing is started.</summary>
internal static class OptionChecks
{
    /// <summary>Refuses a value below <paramref name="least"/>.</summary>
    public static Option<T> AtLeast<T>(this Option<T> option, double least) => option.Within(least, double.MaxValue);

    /// <summary>Refuses a value outside [<paramref name="least"/>, <paramref name="most"/>].</summary>
    public static Option<T> Within<T>(this Option<T> option, double least, double most)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && !(value >= least && value <= most))
            {
                var range = most == double.MaxValue ? $"at least {least}" : $"{least} to {most}";
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} expects {range}, got {token.Value}."));
            }
        });
        return option;
    }

    /// <summary>Refuses a value that is none of the names.</summary>
    public static Option<string> OneOf(this Option<string> option, IEnumerable<string> names)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !names.Contains(token.Value, StringComparer.Ordinal))
            {
                result.AddError($"{option.Name} expects one of {string.Join(", ", names)}; got '{token.Value}'.");
            }
        });
        return option;
    }
}
