using System.Globalization;

namespace Dalle.Benchmarks.Collectives;

/// <summary>
/// Two processes add up an array of floats of each size, over the fastest socket there is. Bandwidth is the array's bytes over the median time. The peer is gloo in PyTorch, also
/// two processes, measured between Unix sockets and TCP.
/// </summary>
internal sealed class AllReduce : IBenchmark
{
    public string Name => "allreduce";

    public string Summary => "an all-reduce of floats between two processes beside gloo: 4 KiB to 64 MiB";

    public IEnumerable<Figure> Run()
    {
        var (bySize, byGloo) = (AllReduceProcess.Measure(unixSockets: true), new Dictionary<int, double?>());
        foreach (var bytes in AllReduceProcess.Sizes)
        {
            byGloo[bytes] = PeerScript.Measure("allreduce.py", bytes.ToString(CultureInfo.InvariantCulture), AllReduceProcess.Rounds(bytes).ToString(CultureInfo.InvariantCulture));
        }

        foreach (var figure in Figures("", bySize, byGloo))
        {
            yield return figure;
        }

        foreach (var figure in Figures(" over TCP", AllReduceProcess.Measure(unixSockets: false), byGloo))
        {
            yield return figure;
        }
    }

    private static IEnumerable<Figure> Figures(string way, IReadOnlyDictionary<int, double> seconds, Dictionary<int, double?> peer)
    {
        foreach (var bytes in AllReduceProcess.Sizes)
        {
            var size = bytes >= 1 << 20 ? $"{bytes >> 20} MiB" : $"{bytes >> 10} KiB";
            yield return new($"allreduce{way}, {size}", seconds[bytes] * 1e6, "us", peer[bytes] * 1e6, HigherIsBetter: false);
            yield return new($"allreduce{way}, {size}", bytes / seconds[bytes] / 1e9, "GB/s", bytes / peer[bytes] / 1e9);
        }
    }
}
