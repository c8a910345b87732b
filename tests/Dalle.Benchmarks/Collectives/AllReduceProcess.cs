using System.Diagnostics;
using System.Globalization;
using System.Net;
using Dalle.Collectives.Groups;
using Dalle.Collectives.Transport;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Collectives;

/// <summary>One of the two processes of <see cref="AllReduce"/>: the first is the benchmark itself, the second the same program with <see cref="Argument"/>.</summary>
internal static class AllReduceProcess
{
    /// <summary>The hidden first argument of the second process; the next is whether to use Unix-domain sockets.</summary>
    public const string Argument = "allreduce-second";

    /// <summary>Bytes of the arrays.</summary>
    public static IReadOnlyList<int> Sizes { get; } = [4 << 10, 256 << 10, 1 << 20, 16 << 20, 64 << 20];

    /// <summary>Timed operations of a size, after half as many that are not.</summary>
    public static int Rounds(int bytes) => Math.Clamp((1 << 30) / bytes, 15, 2000);

    /// <summary>Starts the second process and measures: the median seconds by size.</summary>
    public static IReadOnlyDictionary<int, double> Measure(bool unixSockets)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [Argument, unixSockets.ToString()]) { RedirectStandardOutput = true };
        using var second = Process.Start(start)!;
        var line = second.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The second process ended before it listened.");
        var seconds = Run(rank: 0, unixSockets, line.Split(' ') is [var port, .. var path] ? Second(int.Parse(port, CultureInfo.InvariantCulture), path) : null!);
        second.WaitForExit();
        return seconds;
    }

    /// <summary>The second process.</summary>
    public static int RunSecond(string unixSockets)
    {
        Run(rank: 1, bool.Parse(unixSockets), other: null);
        return 0;
    }

    private static PeerAddress Second(int port, string[] path) =>
        new("1", new IPEndPoint(IPAddress.Loopback, port), Sockets.Machine, path is [{ Length: > 0 } socket] ? socket : null);

    private static Dictionary<int, double> Run(int rank, bool unixSockets, PeerAddress? other)
    {
        var endpoint = new TransportEndpoint(new TransportOptions { Name = $"{rank}", UnixSockets = unixSockets });
        if (rank == 1)
        {
            Console.WriteLine($"{endpoint.Address.EndPoint.Port} {endpoint.Address.SocketPath}");
        }

        // Of two peers the first connects, so the second need not know where it listens.
        PeerAddress[] addresses = rank == 0 ? [endpoint.Address, other!] : [endpoint.Address with { Name = "0" }, endpoint.Address];
        var job = endpoint.Open("benchmark", epoch: 1);
        var group = new CollectiveGroup(job, [new(0, addresses[0]), new(1, addresses[1])], epoch: 1);
        var seconds = Sizes.ToDictionary(bytes => bytes, bytes => Median(group, bytes));
        endpoint.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return seconds;
    }

    private static double Median(CollectiveGroup group, int bytes)
    {
        using var array = zeros(bytes / sizeof(float));
        var elements = Elements.Of(array);
        var rounds = Rounds(bytes);
        var seconds = new List<double>(rounds);
        for (var step = -(rounds / 2); step < rounds; step++)
        {
            var began = Stopwatch.GetTimestamp();
            group.AllReduce(new CollectiveKey(step, bytes), elements).GetAwaiter().GetResult();
            if (step >= 0)
            {
                seconds.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            }
        }

        return seconds.Order().ElementAt(rounds / 2);
    }
}
