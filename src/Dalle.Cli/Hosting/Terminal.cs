using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Hosting;

/// <summary>Where a command writes. Text for people goes to standard output; with <c>--json</c> that is left to JSON, and text goes to standard error.</summary>
internal sealed class Terminal
{
    /// <summary>Columns of a terminal that has no width of its own: wide enough that no table wraps in a file.</summary>
    private const int UnboundedWidth = 200;

    private static readonly JsonSerializerOptions Document = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private static readonly JsonSerializerOptions Line = new(Document) { WriteIndented = false };

    private readonly TextWriter _json;

    public Terminal(TextWriter output, TextWriter error, bool json)
    {
        (IsJson, _json, Text) = (json, output, json ? error : output);
        Console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Text) });
        if (!Console.Profile.Out.IsTerminal)
        {
            Console.Profile.Width = UnboundedWidth;
        }
    }

    /// <summary>Whether standard output is for a program.</summary>
    public bool IsJson { get; }

    /// <summary>Whether people's text can be redrawn and coloured.</summary>
    public bool IsInteractive => !IsJson && Console.Profile.Out.IsTerminal && Console.Profile.Capabilities.Ansi;

    /// <summary>Tables, colours and live views for people.</summary>
    public IAnsiConsole Console { get; }

    /// <summary>Plain lines for people.</summary>
    public TextWriter Text { get; }

    /// <summary>Writes a line of text for people.</summary>
    public void SayLine(string line)
    {
        Text.WriteLine(line);
        Text.Flush();
    }

    /// <summary>Draws something for people; nothing if they did not ask (<see cref="IsJson"/>).</summary>
    public void Say(IRenderable renderable)
    {
        if (!IsJson)
        {
            Console.Write(renderable);
        }
    }

    /// <summary>Writes a value as JSON; nothing unless <see cref="IsJson"/>.</summary>
    public void WriteJson<T>(T value) => Write(value, Document);

    /// <summary>Writes a value as one line of JSON Lines; nothing unless <see cref="IsJson"/>.</summary>
    public void WriteJsonLine<T>(T value) => Write(value, Line);

    /// <summary>A value as an indented JSON text.</summary>
    public static string ToJson<T>(T value) => JsonSerializer.Serialize(value, Document);

    /// <summary>A value from what <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="JsonException">The text is not of this shape.</exception>
    public static T? FromJson<T>(string json) => JsonSerializer.Deserialize<T>(json, Document);

    private void Write<T>(T value, JsonSerializerOptions options)
    {
        if (IsJson)
        {
            _json.WriteLine(JsonSerializer.Serialize(value, options));
            _json.Flush();
        }
    }
}
