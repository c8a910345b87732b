using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Data.Datasets;
using Dalle.Data.Filters;
using Dalle.Data.Pictures;
using Dalle.Data.Sources;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle data import</c>: captioned pictures from a source, checked and filtered, into a dataset folder.</summary>
internal static class DataImportCommand
{
    private static readonly (SampleSourceOptions Source, ImportOptions Import) Defaults = (new(), new());

    public static Command Create()
    {
        var source = new Argument<string>("source") { Description = $"Where captioned pictures come from:\n{string.Join('\n', SampleSources.Understood)}" };
        var folder = new Option<DirectoryInfo>("--out") { Description = "The dataset's folder; it appears complete or not at all.", HelpName = "DIR", Required = true };
        var replace = new Option<bool>("--replace") { Description = "Replace the dataset that is in the folder, once the new one is complete." };
        var licence = new Option<string?>("--licence") { Description = "Licence of pictures and captions, in one line, for the manifest. Default: what the source knows.", HelpName = "LINE" };
        var heldOut = Optional("--held-out", "Share of the samples that training never sees, to measure it by.", "SHARE", Defaults.Import.HeldOutShare).Within(0, 0.9);
        var most = new Option<int?>("--max-samples") { Description = "Stop after this many samples. Default: all.", HelpName = "N" }.AtLeast(1);
        var shardSize = Optional("--shard-size", "Size at which a shard is closed, in MiB.", "MIB", (int)(Defaults.Import.ShardBytes >> 20)).Within(1, 1 << 20);

        var captionLength = Optional("--min-caption-length", "Leave out captions of fewer characters.", "N", Defaults.Import.Filters.MinCaptionLength).AtLeast(0);
        var captionWords = Optional("--min-caption-words", "Leave out captions of fewer words.", "N", Defaults.Import.Filters.MinCaptionWords).AtLeast(0);
        var boilerplate = new Option<bool>("--keep-boilerplate") { Description = "Keep captions that say nothing of the picture (\"IMG_0042.jpg\", \"photographed on 3 May\")." };
        var english = new Option<bool>("--english-only") { Description = "Leave out captions that are plainly in another language than English." };
        var aspectRatio = Optional("--max-aspect-ratio", "Leave out pictures whose longer side is more than this many times the shorter one.", "R", Defaults.Import.Filters.MaxAspectRatio).AtLeast(1);
        var repeats = new Option<bool>("--keep-repeats") { Description = "Keep pictures with the same pixels as one before." };
        var pixels = Optional("--max-megapixels", "Leave out pictures of more pixels, in millions.", "N", (int)(Defaults.Import.PictureLimits.MaxPixels / 1_000_000)).Within(1, 500);

        var pictures = new Option<DirectoryInfo?>("--pictures") { Description = "Tables and COCO: the folder that picture paths start from. Default: that of the file.", HelpName = "DIR" };
        var pathColumn = Optional("--path-column", "Tables: the column with the picture's path.", "NAME", Defaults.Source.PathColumn);
        var captionColumn = Optional("--caption-column", "Tables: the column with the caption.", "NAME", Defaults.Source.CaptionColumn);
        var packages = new Option<DirectoryInfo?>("--packages") { Description = "Emoji: folder for the downloaded packages. Default: in the user's application data.", HelpName = "DIR" };

        var command = new Command("import", "Turn captioned pictures into a dataset to train on.")
        {
            source, folder, replace, licence, heldOut, most, shardSize,
            captionLength, captionWords, boilerplate, english, aspectRatio, repeats, pixels,
            pictures, pathColumn, captionColumn, packages,
        };
        command.SetAction((parsed, cancellationToken) => Run(
            CommandContext.Of(parsed),
            parsed.GetRequiredValue(source),
            parsed.GetRequiredValue(folder).FullName,
            new SampleSourceOptions
            {
                PictureFolder = parsed.GetValue(pictures)?.FullName,
                PathColumn = parsed.GetRequiredValue(pathColumn),
                CaptionColumn = parsed.GetRequiredValue(captionColumn),
                PackageFolder = parsed.GetValue(packages)?.FullName,
                Licence = parsed.GetValue(licence),
            },
            new ImportOptions
            {
                Filters = new SampleFilters
                {
                    MinCaptionLength = parsed.GetValue(captionLength),
                    MinCaptionWords = parsed.GetValue(captionWords),
                    DropBoilerplate = !parsed.GetValue(boilerplate),
                    EnglishOnly = parsed.GetValue(english),
                    MaxAspectRatio = parsed.GetValue(aspectRatio),
                    DropRepeatedPictures = !parsed.GetValue(repeats),
                },
                PictureLimits = PictureLimits.Default with { MaxPixels = parsed.GetValue(pixels) * 1_000_000L },
                HeldOutShare = parsed.GetValue(heldOut),
                MaxSamples = parsed.GetValue(most),
                ShardBytes = (long)parsed.GetValue(shardSize) << 20,
                Replace = parsed.GetValue(replace),
            },
            cancellationToken));
        return command;
    }

    private static Option<T> Optional<T>(string name, string description, string value, T standard) =>
        new(name) { Description = description, HelpName = value, DefaultValueFactory = _ => standard };

    private static async Task<int> Run(
        CommandContext context, string source, string folder, SampleSourceOptions sourceOptions, ImportOptions options, CancellationToken cancellationToken)
    {
        var manifest = await ImportView.Show(
            context, progress => DatasetImporter.Import(SampleSources.Open(source, sourceOptions), folder, options, progress, cancellationToken));
        context.Terminal.WriteJson(new { Folder = folder, Manifest = manifest });
        Report(context.Terminal, manifest, folder);
        context.Terminal.SayLine($"Look at it: {Command("data inspect", folder)}");
        return ExitCodes.Success;
    }

    private static void Report(Terminal terminal, DatasetManifest manifest, string folder)
    {
        terminal.SayLine($"{DatasetFigures.Counts(manifest)} in {folder}.");
        if (manifest.Rejected.Count > 0)
        {
            terminal.Say(DatasetFigures.Rejections(manifest));
        }

        if (manifest.HeldOut.Samples == 0)
        {
            terminal.SayLine("No sample is held out: training will be measured on pictures that it sees. A larger --held-out share, or more samples, changes that.");
        }
    }

    private static string Command(string command, string folder) => $"dalle {command} {CommandContext.Quoted(folder)}";
}
