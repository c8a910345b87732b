using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Tests.Rendering;

/// <summary>A Spectre console over a string: what a terminal of this width would be sent.</summary>
internal sealed class RecordingConsole : IDisposable
{
    private readonly StringWriter _writer = new() { NewLine = "\n" };

    public RecordingConsole(int width = 80, bool colours = false)
    {
        Console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(_writer),
            Ansi = colours ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colours ? ColorSystemSupport.TrueColor : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        Console.Profile.Width = width;
        Console.Profile.Capabilities.Unicode = true;
    }

    public IAnsiConsole Console { get; }

    public string Text => _writer.ToString();

    public string[] Lines => Text.TrimEnd('\n').Split('\n');

    public static string Draw(IRenderable renderable, int width = 80, bool colours = false)
    {
        using var recording = new RecordingConsole(width, colours);
        recording.Console.Write(renderable);
        return recording.Text;
    }

    public void Dispose() => _writer.Dispose();
}
