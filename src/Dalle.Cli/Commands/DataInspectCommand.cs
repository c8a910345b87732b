using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle data inspect</c>: what a dataset holds, in figures and in a sheet of its pictures.</summary>
internal static class DataInspectCommand
{
    public static Command Create()
    {
        var folder = new Argument<DirectoryInfo>("dir") { Description = "Folder written by 'dalle data import'." };
        var sheet = new Option<FileInfo>("--out") { Description = "PNG file for the contact sheet.", HelpName = "FILE", DefaultValueFactory = _ => new("contact-sheet.png") };
        var pictures = new Option<int>("-n", "--pictures") { Description = "Pictures on the sheet, from all over the dataset.", HelpName = "N", DefaultValueFactory = _ => 64 }.Within(1, 1024);
        var command = new Command("inspect", "Show what a dataset holds and draw a contact sheet of it.") { folder, sheet, pictures };
        command.SetAction(parsed => Run(CommandContext.Of(parsed), parsed.GetRequiredValue(folder).FullName, parsed.GetRequiredValue(sheet).FullName, parsed.GetValue(pictures)));
        return command;
    }

    private static int Run(CommandContext context, string folder, string sheet, int pictures)
    {
        var report = DatasetReport.Of(folder);
        DrawSheet(folder, sheet, pictures);
        context.Terminal.WriteJson(new
        {
            Folder = folder, report.Bytes, report.CaptionWords, report.AspectRatios, report.ShorterSides, ContactSheet = sheet, report.Manifest,
        });
        Report(context.Terminal, report);
        context.Terminal.SayLine($"Contact sheet: {sheet}");
        return ExitCodes.Success;
    }

    private static void DrawSheet(string folder, string file, int pictures)
    {
        var layout = new ContactSheetLayout();
        using var dataset = ShardDataset.Open(folder, new ShardDatasetOptions { ShorterSide = layout.CellSide, CacheBytes = 0 });
        PngEncoder.Write(DatasetReport.DrawContactSheet(dataset, pictures, layout), file);
    }

    private static void Report(Terminal terminal, DatasetReport report)
    {
        var manifest = report.Manifest;
        var grid = new Grid().AddColumns(2);
        foreach (var (name, value) in new[]
        {
            ("source", manifest.Source),
            ("licence", manifest.Licence ?? "unknown"),
            ("samples", DatasetFigures.Counts(manifest)),
            ("shards", $"{Figures.Count(manifest.Training.Shards.Count + manifest.HeldOut.Shards.Count)}, {Figures.Bytes(report.Bytes)}"),
            ("content", manifest.Fingerprint),
        })
        {
            grid.AddRow(new Text(name, new Style(Color.Grey)), new Text(value));
        }

        terminal.Say(grid);
        terminal.Say(DatasetFigures.Histogram("words in a caption", report.CaptionWords));
        terminal.Say(DatasetFigures.Histogram("width / height", report.AspectRatios));
        terminal.Say(DatasetFigures.Histogram("shorter side, pixels", report.ShorterSides));
        if (manifest.Rejected.Count > 0)
        {
            terminal.Say(DatasetFigures.Rejections(manifest));
        }
    }
}
