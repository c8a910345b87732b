using System.CommandLine;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle generate</c>: pictures for a prompt, through a generation session.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var prompt = new Argument<string>("prompt") { Description = "What the pictures show." };
        var drawing = new DrawingCommand();
        var command = new Command("generate", "Draw pictures for a prompt.") { prompt };
        drawing.AddTo(command);
        command.SetAction((parsed, cancellationToken) => drawing.Run(parsed, parsed.GetRequiredValue(prompt), completion: null, cancellationToken));
        return command;
    }
}
