using System.CommandLine;
using System.Globalization;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle cluster</c>: the silos, their devices and what runs on them.</summary>
internal static class ClusterCommand
{
    public static Command Create()
    {
        var command = new Command("cluster", "Show the silos of the cluster, their devices and what runs on them.");
        command.SetAction((parsed, cancellationToken) => Show(CommandContext.Of(parsed), cancellationToken));
        return command;
    }

    private static async Task<int> Show(CommandContext context, CancellationToken cancellationToken)
    {
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var silos = await cluster.Client.ListSilos(cancellationToken);
        context.Terminal.WriteJson(silos);
        var table = new Table().Border(TableBorder.Simple).AddColumns("silo", "device", "threads", "runs", "pictures", "in flight");
        foreach (var silo in silos)
        {
            string[] cells = silo.Device is { } device
                ? [silo.Address, device.Device, device.Threads.ToString(CultureInfo.InvariantCulture), string.Join(", ", device.Stages.Select(stage => $"{stage.Job} ({StageNames.Of(stage.Stage)}, epoch {stage.Epoch}, workers {stage.Workers})")), device.Requests.ToString(CultureInfo.InvariantCulture), Figures.Bytes(device.BytesInFlight)]
                : [silo.Address, "does not answer", "", "", "", ""];
            table.AddRow([.. cells.Select(cell => new Text(cell))]);
        }

        context.Terminal.Say(table);
        return ExitCodes.Success;
    }
}
