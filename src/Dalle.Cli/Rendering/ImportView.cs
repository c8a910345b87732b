using Dalle.Cli.Hosting;
using Dalle.Data.Datasets;
using Spectre.Console;

namespace Dalle.Cli.Rendering;

/// <summary>Shows how far an import has come: one line that is redrawn, or a new line now and then where nothing can be redrawn.</summary>
internal static class ImportView
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);

    public static async Task<DatasetManifest> Show(CommandContext context, Func<IProgress<ImportProgress>, Task<DatasetManifest>> import)
    {
        if (!context.Terminal.IsInteractive)
        {
            return await import(new PlainLines(context.Terminal, context.Clock));
        }

        return await context.Terminal.Console.Status().StartAsync("Opening the source", status => import(new Redrawn(status)));
    }

    private static string LineOf(ImportProgress progress) =>
        $"{Figures.Count(progress.Accepted)} samples taken, {Figures.Count(progress.Rejected)} left out, {Figures.Bytes(progress.PictureBytes)}";

    private sealed class Redrawn(StatusContext status) : IProgress<ImportProgress>
    {
        public void Report(ImportProgress value) => status.Status(LineOf(value));
    }

    private sealed class PlainLines(Terminal terminal, TimeProvider clock) : IProgress<ImportProgress>
    {
        private long _lastLine = clock.GetTimestamp();

        public void Report(ImportProgress value)
        {
            if (clock.GetElapsedTime(_lastLine) >= PlainInterval)
            {
                terminal.SayLine(LineOf(value));
                _lastLine = clock.GetTimestamp();
            }
        }
    }
}
