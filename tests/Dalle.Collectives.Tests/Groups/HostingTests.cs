using System.Runtime.InteropServices;
using Dalle.Collectives.Groups;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>The same four ranks give the same bits, however they are spread over processes.</summary>
public sealed class HostingTests
{
    private static readonly string[] Layouts = ["0123", "0011", "0111", "0001", "0101", "0000"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // Direct everywhere, nowhere, and in between; odd, and several segments with a rest.
    public static MatrixTheoryData<ElementFormat, int> FormatsAndLengths => new([ElementFormat.Float32, ElementFormat.BFloat16], [1, 7, 4099, 5461, 16_383, 1_400_003]);

    [Theory]
    [MemberData(nameof(FormatsAndLengths))]
    public async Task AllReduce_ComesToTheSameBits_WhateverTheHosting(ElementFormat format, int length)
    {
        byte[]? expected = null;
        foreach (var layout in Layouts)
        {
            await using var ranks = Ranks.Of(layout, shuffle: length);
            await ranks.Run(async group =>
            {
                var target = new byte[BytesOf(format, rank: 0, length).Length];
                await group.AllReduce(new(1, 1), Sources(group, format, length), new Elements(target, format), Token);
                Interlocked.CompareExchange(ref expected, target, null);
                Assert.True(expected.AsSpan().SequenceEqual(target), $"{layout} comes to another sum than {Layouts[0]}.");
            });
        }
    }

    [Theory]
    [MemberData(nameof(FormatsAndLengths))]
    public async Task ReduceScatter_ComesToTheSameBits_WhateverTheHosting(ElementFormat format, int length)
    {
        var expected = BytesOf(format, rank: 0, length);
        OrderedSum.Compute(format, [.. Enumerable.Range(0, 4).Select(rank => (ReadOnlyMemory<byte>)BytesOf(format, rank, length))], expected);
        int[] counts = [length / 2, 0, length - (length / 2) - (length / 5), length / 5];
        foreach (var layout in Layouts.Where(layout => layout != "0101"))
        {
            // Not shuffled: nothing holds back a process whose own part is empty, and its last messages would leave no room for its first ones.
            await using var ranks = Ranks.Of(layout);
            await ranks.Run(async group =>
            {
                var part = new byte[group.Own.Sum(rank => counts[rank]) * (expected.Length / length)];
                await group.ReduceScatter(new(1, 1), Sources(group, format, length), new Elements(part, format), counts, Token);
                var start = counts.Take(group.Own[0]).Sum() * (expected.Length / length);
                Assert.True(expected.AsSpan(start, part.Length).SequenceEqual(part), $"{layout} comes to another sum.");
            });
        }
    }

    private static IReadOnlyList<Elements> Sources(CollectiveGroup group, ElementFormat format, int length) =>
        [.. group.Own.Select(rank => new Elements(BytesOf(format, rank, length), format))];

    private static byte[] BytesOf(ElementFormat format, int rank, int length) => format == ElementFormat.Float32
        ? MemoryMarshal.AsBytes<float>(Numbers.Of(rank, length)).ToArray()
        : MemoryMarshal.AsBytes<ushort>(Numbers.HalvesOf(rank, length)).ToArray();
}
