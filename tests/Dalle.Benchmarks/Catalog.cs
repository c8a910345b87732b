using Dalle.Benchmarks.Cluster;
using Dalle.Benchmarks.Collectives;
using Dalle.Benchmarks.DiscreteVae;
using Dalle.Benchmarks.Prior;
using Dalle.Benchmarks.Sampling;
using Dalle.Benchmarks.Serving;
using Dalle.Benchmarks.Training;

namespace Dalle.Benchmarks;

/// <summary>All benchmarks.</summary>
internal static class Catalog
{
    public static IReadOnlyList<IBenchmark> All { get; } =
    [
        new PriorTrain(),
        new PriorTrainProbe(),
        new PriorTrainMemory(),
        new DiscreteVaeTrain(),
        new DiscreteVaeCodec(),
        new SlicedTraining(),
        new Engine(),
        new AllReduce(),
        new PowerSgdBenchmark(),
        new Overhead(),
        new Convergence(),
        new Throttled(),
        new Recovery(),
        new Join(),
        new Calm(),
        new Serve(),
        new Overload(),
        new ColdStart(),
    ];
}
