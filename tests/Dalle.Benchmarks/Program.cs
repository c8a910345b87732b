using System.CommandLine;
using System.Text.Json;
using Dalle.Benchmarks;
using Dalle.Benchmarks.Collectives;
using Spectre.Console;

if (args is [AllReduceProcess.Argument, var unixSockets])
{
    return AllReduceProcess.RunSecond(unixSockets);
}

if (args is [Throttled.Argument, var rank, var updates])
{
    return Throttled.RunSecond(rank, updates);
}

var names = new Argument<string[]>("name") { Description = "The benchmarks to run, or 'list'.", Arity = ArgumentArity.OneOrMore };
var json = new Option<FileInfo?>("--json") { Description = "Also write the figures to this file." };
var command = new RootCommand("Measures this system beside its peers. Run a Release build on a quiet machine.") { names, json };
command.SetAction(parsed => parsed.GetRequiredValue(names) is ["list"] ? List() : Measure(parsed.GetRequiredValue(names), parsed.GetValue(json)));
return command.Parse(args).Invoke();

static int List()
{
    foreach (var benchmark in Catalog.All)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]{benchmark.Name,-20}[/] {benchmark.Summary}");
    }

    return 0;
}

static int Measure(string[] names, FileInfo? json)
{
    if (names.FirstOrDefault(name => Catalog.All.All(benchmark => benchmark.Name != name)) is { } unknown)
    {
        AnsiConsole.MarkupLineInterpolated($"[red]There is no benchmark '{unknown}'; 'list' shows them.[/]");
        return 1;
    }

    var figures = new List<Figure>();
    foreach (var benchmark in Catalog.All.Where(benchmark => names.Contains(benchmark.Name)))
    {
        foreach (var figure in benchmark.Run())
        {
            figures.Add(figure);
            AnsiConsole.MarkupLineInterpolated($"[dim]{figure.Name}: {figure.Value:G4} {figure.Unit}[/]");
        }
    }

    var table = new Table().AddColumns("benchmark", "value", "unit", "peer", "ratio");
    foreach (var figure in figures)
    {
        table.AddRow(figure.Name, $"{figure.Value:G4}", figure.Unit, figure.Peer is { } peer ? $"{peer:G4}" : "-", figure.Ratio is { } ratio ? $"{ratio:F2}" : "-");
    }

    AnsiConsole.Write(table);
    AnsiConsole.WriteLine("Figures of DALLE-pytorch are those of tests/Dalle.Benchmarks/README.md, on the processor named there: on another one their ratios say little.");
    if (json is not null)
    {
        var rows = figures.Select(figure => new { name = figure.Name, value = figure.Value, unit = figure.Unit, peer = figure.Peer, ratio = figure.Ratio });
        File.WriteAllText(json.FullName, JsonSerializer.Serialize(rows));
    }

    return 0;
}
