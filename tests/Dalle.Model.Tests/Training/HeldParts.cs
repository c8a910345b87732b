using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Training;

/// <summary>Trainers that hold a network's rows among them, and the exchange between them.</summary>
internal static class HeldParts
{
    private static readonly string[] Prefixes = ["parameters.", "average.", "optimizer.mean.", "optimizer.variance."];

    /// <summary>A part's rows of every array: as even as they come, and none of some arrays that have fewer rows than there are parts.</summary>
    public static Dictionary<string, RowRange> Rows(IEnumerable<ParameterSpec> specs, int part, int parts) => specs.ToDictionary(
        spec => spec.Name,
        spec => new RowRange(spec.Rows * part / parts, (spec.Rows * (part + 1) / parts) - (spec.Rows * part / parts)));

    /// <summary>Gives each trainer its rows of a gradient laid out like the whole's.</summary>
    public static void Scatter(IShardedTrainer whole, Tensor gradient, IReadOnlyList<IShardedTrainer> parts) => ForEachArray(parts, (part, rows, name) =>
        part.Held.View(part.Held.Gradient, name).copy_(rows.Of(whole.Network.View(gradient, name))));

    /// <summary>Gives every trainer the masters and averages of all, as far as it has them whole.</summary>
    public static void Gather(IReadOnlyList<IShardedTrainer> parts)
    {
        ForEachArray(parts, (part, rows, name) =>
        {
            foreach (var to in parts)
            {
                if (to.Network.Contains(name))
                {
                    rows.Of(to.Network.View(to.Network.Master, name)).copy_(part.Held.View(part.Held.Master, name));
                }

                rows.Of(to.Average.View(to.Average.Master, name)).copy_(part.Held.View(part.HeldAverage, name));
            }
        });
        foreach (var part in parts)
        {
            part.Network.RefreshCompute();
        }
    }

    /// <summary>Expects what the parts hold to be the whole's, to the bit, and, once gathered, what they compute with.</summary>
    public static void AssertAreThoseOf(IShardedTrainer whole, IReadOnlyList<IShardedTrainer> parts)
    {
        using var scope = NewDisposeScope();
        var expected = whole.NamedState().ToDictionary(state => state.Name, state => state.Tensor);
        for (var part = 0; part < parts.Count; part++)
        {
            var rows = Rows(whole.Network.Specs, part, parts.Count)
                .SelectMany(array => Prefixes.Select(prefix => (Name: prefix + array.Key, Rows: array.Value))).ToDictionary(array => array.Name, array => array.Rows);
            var states = parts[part].NamedState().ToList();
            Assert.Equal(expected.Keys, states.Select(state => state.Name));
            foreach (var (name, tensor) in states)
            {
                AssertSameBits(rows.TryGetValue(name, out var held) ? held.Of(expected[name]) : expected[name], tensor, name);
            }

            foreach (var spec in parts[part].Network.Specs)
            {
                AssertSameBits(whole.Network.View(whole.Network.Master, spec.Name), parts[part].Network.View(parts[part].Network.Master, spec.Name), spec.Name);
            }

            AssertSameBits(whole.Average.Master, parts[part].Average.Master, "the averages");
        }
    }

    private static void ForEachArray(IReadOnlyList<IShardedTrainer> parts, Action<IShardedTrainer, RowRange, string> work)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        for (var part = 0; part < parts.Count; part++)
        {
            foreach (var (name, rows) in Rows(parts[part].Average.Specs, part, parts.Count))
            {
                work(parts[part], rows, name);
            }
        }
    }

    private static void AssertSameBits(Tensor expected, Tensor actual, string name)
    {
        Assert.Equal((expected.dtype, string.Join(",", expected.shape)), (actual.dtype, string.Join(",", actual.shape)));
        Assert.True(expected.contiguous().bytes.SequenceEqual(actual.contiguous().bytes), $"Expected the same bits of {name}.");
    }
}
