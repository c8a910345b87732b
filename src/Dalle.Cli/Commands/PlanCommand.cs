using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Collectives.Sharding;
using Dalle.Model.Presets;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle plan</c>: what training a preset takes, before any machine is rented.</summary>
internal static class PlanCommand
{
    public static Command Create()
    {
        var preset = new Option<string>("--preset") { Description = "The model.", HelpName = "NAME", Required = true }.OneOf(Preset.All.Select(preset => preset.Name));
        var silos = new Option<int>("--silos") { Description = "Machines, each with a copy of the parameters.", HelpName = "N", DefaultValueFactory = _ => 1 }.Within(1, 100_000);
        var devices = new Option<int>("--devices") { Description = "Devices of each machine, which share out the parameters.", HelpName = "M", DefaultValueFactory = _ => 1 }.Within(1, 1024);
        var rank = new Option<int?>("--rank") { Description = "Rank that gradients are compressed to between machines; 0 for no compression. Default: the preset's.", HelpName = "R" }.AtLeast(0);
        var command = new Command("plan", "Show what training the prior of a preset takes: memory of each device, bytes between machines. Nothing is trained.") { preset, silos, devices, rank };
        command.SetAction(parsed =>
        {
            Show(
                CommandContext.Of(parsed).Terminal,
                new TrainingPlan(Preset.Find(parsed.GetRequiredValue(preset)), parsed.GetValue(silos), parsed.GetValue(devices), parsed.GetValue(rank)));
            return ExitCodes.Success;
        });
        return command;
    }

    private static void Show(Terminal terminal, TrainingPlan plan)
    {
        terminal.WriteJson(new
        {
            Preset = plan.Preset.Name,
            plan.Parameters,
            plan.Silos,
            plan.Devices,
            plan.Rank,
            Shards = plan.Shards.Select(shard => new
            {
                shard.Shard.Ordinal, Elements = shard.Shard.Count, Bytes = shard.Shard.Count * sizeof(float), shard.BytesPerUpdate, shard.UncompressedBytesPerUpdate,
            }),
            plan.Memory,
            plan.BytesSent,
            plan.UncompressedBytesSent,
            plan.Saved,
            plan.SavedByThePapersFormula,
            plan.SavedBesideWholeGradients,
        });
        terminal.SayLine(
            $"{plan.Preset.Name}: {Figures.Count(plan.Parameters)} parameters of the prior, {plan.Silos} x {plan.Devices} devices, gradients compressed to rank {plan.Rank}");
        terminal.Say(Shards(plan));
        terminal.Say(Memory(plan.Memory));
        terminal.Say(Wire(plan));
    }

    private static Table Shards(TrainingPlan plan)
    {
        var table = new Table().AddColumns("shard", "parameters", "in 32 bit", "gradients compressed", "uncompressed");
        foreach (var shard in plan.Shards)
        {
            table.AddRow(
                $"{shard.Shard.Ordinal}", Figures.Count(shard.Shard.Count), Figures.Bytes(shard.Shard.Count * sizeof(float)), Figures.Bytes(shard.BytesPerUpdate),
                Figures.Bytes(shard.UncompressedBytesPerUpdate));
        }

        return table;
    }

    private static Grid Memory(DeviceMemory memory) => Rows(
    [
        ("memory of a device", "(without activations)"),
        ("  parameters", Figures.Bytes(memory.Master)),
        ("  moments", Figures.Bytes(memory.Moments)),
        ("  average", Figures.Bytes(memory.Average)),
        ("  gradients", Figures.Bytes(memory.Gradients)),
        ("  error buffer", Figures.Bytes(memory.Error)),
        ("  compression", Figures.Bytes(memory.Compression)),
        ("  gathered blocks", Figures.Bytes(memory.Gathered)),
        ("  all", Figures.Bytes(memory.Total)),
    ]);

    private static Grid Wire(TrainingPlan plan) => Rows(
    [
        ("sent by a machine", "(an update, all-reduced in a ring)"),
        ("  compressed", Figures.Bytes(plan.BytesSent)),
        ("  uncompressed", Figures.Bytes(plan.UncompressedBytesSent)),
        ("  saved", Figures.PercentToATenth(plan.Saved)),
        ("  by the paper's formula", $"{Figures.PercentToATenth(plan.SavedByThePapersFormula)} (beside the gradients of all devices; counted over these shards {Figures.PercentToATenth(plan.SavedBesideWholeGradients)})"),
    ]);

    private static Grid Rows(IEnumerable<(string Name, string Value)> rows)
    {
        var grid = new Grid().AddColumns(2);
        foreach (var (name, value) in rows)
        {
            grid.AddRow(new Text(name, new Style(Color.Grey)), new Text(value));
        }

        return grid;
    }
}
