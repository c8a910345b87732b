namespace Dalle.Benchmarks;

/// <summary>Something to measure. Listed in <see cref="Catalog"/>.</summary>
internal interface IBenchmark
{
    /// <summary>What the command line calls it.</summary>
    string Name { get; }

    /// <summary>One line for people.</summary>
    string Summary { get; }

    /// <summary>Measures; each figure is shown as it comes.</summary>
    IEnumerable<Figure> Run();
}

/// <summary>One measured figure.</summary>
/// <param name="Name">The benchmark's name, and which of its figures.</param>
/// <param name="Value">What was measured.</param>
/// <param name="Unit">Its unit; a rate (per second) or a quality is better when higher, a time or a size when lower.</param>
/// <param name="Peer">The peer's figure in the same unit, measured beside it or from the notes; null if there is none.</param>
/// <param name="HigherIsBetter">Which way round the ratio is.</param>
internal sealed record Figure(string Name, double Value, string Unit, double? Peer = null, bool HigherIsBetter = true)
{
    /// <summary>How many times better than the peer; above 1 is better whatever the unit.</summary>
    public double? Ratio => Peer is { } peer ? (HigherIsBetter ? Value / peer : peer / Value) : null;
}
