using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;

namespace Dalle.Collectives.Tests.Updates;

/// <summary>A host dies between any two of its messages: every other host is then where it was before an update or after it, to the bit, and no two are further apart than one update.</summary>
public sealed class CrashSweepTests
{
    private const int Steps = 3, Rank = 2;

    private static readonly (int, int, int, int)[] Places = [(0, 1, 0, 1), (0, 1, 1, 1), (1, 1, 0, 2), (2, 1, 0, 2)];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void HostThatDies_BetweenAnyTwoMessages_LeavesTheOthersBeforeOrAfterAnUpdate(int dying)
    {
        var expected = Undisturbed();
        var (messages, _) = Run(dying, dies: int.MaxValue);
        Assert.InRange(messages, 20, 1000);
        for (var dies = 0; dies < messages; dies++)
        {
            var (_, survivors) = Run(dying, dies);
            var steps = survivors.Select(host => host.Step).ToArray();
            Assert.InRange(steps.Max() - steps.Min(), 0, 1);
            foreach (var (step, state) in survivors)
            {
                Assert.All(state, piece => Assert.True(expected[step][piece.Key].AsSpan().SequenceEqual(piece.Value), $"{piece.Key} after {step} updates, where host {dying} died after {dies} messages."));
            }
        }
    }

    /// <summary>All pieces after each number of updates.</summary>
    private static List<Dictionary<string, byte[]>> Undisturbed()
    {
        using var host = Host(new SimulatedNetwork(), [(0, 3, 0, 2)], 0, int.MaxValue);
        var states = new List<Dictionary<string, byte[]>> { Pieces(host) };
        Work(() =>
        {
            for (var step = 0; step < Steps; step++)
            {
                host.Update(step);
                states.Add(Pieces(host));
            }
        });
        return states;
    }

    /// <summary>Lets hosts update until one dies.</summary>
    /// <returns>Messages that the dying host has sent, and where the others are.</returns>
    private static (int Messages, List<(int Step, Dictionary<string, byte[]> State)> Survivors) Run(int dying, int dies)
    {
        var network = new SimulatedNetwork();
        var hosts = Places.Select((_, i) => Host(network, Places, i, i == dying ? dies : int.MaxValue)).ToArray();
        var threads = hosts.Select((host, i) => new Thread(() => Work(() =>
        {
            try
            {
                for (var step = 0; step < Steps; step++)
                {
                    host.Update(step);
                }
            }
            catch (TransportException)
            {
                // As when the job begins another epoch: the others need not wait for this one.
                host.Exchange.Abort();
                network.Die(Name(i));
            }
        }))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        var survivors = hosts.Where((_, i) => i != dying).Select(host => (host.Trainer.Step, Pieces(host))).ToList();
        var messages = ((SimulatedPeer)hosts[dying].Transport).Sent;
        foreach (var host in hosts)
        {
            host.Dispose();
        }

        return (messages, survivors);
    }

    private static TestHost Host(SimulatedNetwork network, (int FirstReplica, int Replicas, int FirstOrdinal, int Ordinals)[] places, int own, int dies)
    {
        var hosts = places.Select((place, i) => new GridHost(network.Peer(Name(i)).Address, place.FirstReplica, place.Replicas, place.FirstOrdinal, place.Ordinals)).ToArray();
        return new(new(3, 2, hosts, own), new(Rank), network.Peer(Name(own), dies));
    }

    private static Dictionary<string, byte[]> Pieces(TestHost host) => host.State().Where(piece => piece.Key != "network").ToDictionary();

    private static string Name(int host) => $"host-{host}";

    private static void Work(Action work)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var untracked = TorchSharp.torch.no_grad();
        work();
    }
}
