using System.CommandLine;
using System.Globalization;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Models;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle models</c>: the published models.</summary>
internal static class ModelsCommands
{
    public static Command Create() => new("models", "List, show and move published models.")
    {
        CreateList(),
        CreateShow(),
        CreateExport(),
        CreateImport(),
        CreateDelete(),
    };

    private static Argument<string> ModelName() => new("name") { Description = "Name of the model, as 'dalle models list' shows it." };

    private static Command CreateList()
    {
        var command = new Command("list", "List all models, newest first.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var models = await cluster.Client.ListModels(cancellationToken);
            context.Terminal.WriteJson(models);
            var table = new Table().Border(TableBorder.Simple).AddColumns("model", "preset", "pictures", "grid", "parameters", "published");
            foreach (var model in models)
            {
                table.AddRow([.. Row(model).Select(cell => new Text(cell))]);
            }

            context.Terminal.Say(table);
            return ExitCodes.Success;
        });
        return command;
    }

    private static string[] Row(ModelManifest model) =>
    [
        model.Name, model.Preset, $"{model.ImageSize}x{model.ImageSize}", $"{model.GridSize}x{model.GridSize}", Figures.Count(model.Parameters), Published(model),
    ];

    private static string Published(ModelManifest model) => model.Published.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    private static Command CreateShow()
    {
        var name = ModelName();
        var command = new Command("show", "Show what is known of a model.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var model = await cluster.Client.GetModel(parsed.GetRequiredValue(name), cancellationToken);
            context.Terminal.WriteJson(model);
            var grid = new Grid().AddColumns(2);
            IEnumerable<(string Name, string Value)> rows =
            [
                ("model", model.Name), ("preset", model.Preset), ("pictures", $"{model.ImageSize}x{model.ImageSize}, {model.GridSize}x{model.GridSize} tokens"),
                ("parameters", Figures.Count(model.Parameters)), ("published", Published(model)), ("job", model.JobId ?? "(imported)"),
                .. model.Metrics.OrderBy(metric => metric.Key, StringComparer.Ordinal).Select(metric => (metric.Key, Figures.Loss(metric.Value))),
                .. model.Files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => (file.Key, $"sha256 {file.Value}")),
            ];
            foreach (var row in rows)
            {
                grid.AddRow(new Text(row.Name, new Style(Color.Grey)), new Text(row.Value));
            }

            context.Terminal.Say(grid);
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateExport()
    {
        var name = ModelName();
        var folder = new Option<DirectoryInfo>("--out") { Description = "Folder to write; it must not exist yet, or be empty.", HelpName = "DIR", Required = true };
        var command = new Command("export", "Copy a model's files and manifest to a folder.") { name, folder };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var model = await cluster.Client.GetModel(parsed.GetRequiredValue(name), cancellationToken);
            var target = parsed.GetRequiredValue(folder).FullName;
            await ModelArchive.Export(model, Path.Combine(cluster.ArtifactDirectory, model.Path), target, cancellationToken);
            context.Terminal.WriteJson(new { model.Name, Folder = target });
            context.Terminal.SayLine($"Model {model.Name} copied to {target}.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateImport()
    {
        var folder = new Argument<DirectoryInfo>("folder") { Description = "Folder written by 'dalle models export'.", HelpName = "DIR" };
        var name = new Option<string?>("--name") { Description = "Name to publish it under. Default: the one it was exported with." };
        var command = new Command("import", "Publish a model from an exported folder; every file is checked against its manifest.") { folder, name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var model = await ModelArchive.Import(
                parsed.GetRequiredValue(folder).FullName, parsed.GetValue(name), cluster.ArtifactDirectory, context.Clock.GetUtcNow(), cancellationToken);
            await cluster.Client.PublishModel(model, cancellationToken);
            context.Terminal.WriteJson(model);
            context.Terminal.SayLine($"Model {model.Name} is published.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateDelete()
    {
        var name = ModelName();
        var command = new Command("delete", "Take a model out of the catalog and delete its files.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var model = await cluster.Client.GetModel(parsed.GetRequiredValue(name), cancellationToken);
            await cluster.Client.DeleteModel(model.Name, cancellationToken);
            ModelArchive.Delete(model, cluster.ArtifactDirectory);
            context.Terminal.WriteJson(new { model.Name });
            context.Terminal.SayLine($"Model {model.Name} deleted.");
            return ExitCodes.Success;
        });
        return command;
    }
}
