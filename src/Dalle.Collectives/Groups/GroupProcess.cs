using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>A process that hosts members of a group.</summary>
/// <param name="Address">Where it is reached.</param>
/// <param name="Ranks">The ranks it hosts, ascending: at least one.</param>
internal sealed record GroupProcess(PeerAddress Address, IReadOnlyList<int> Ranks)
{
    /// <summary>Whether its ranks follow each other.</summary>
    public bool IsConsecutive => Ranks[^1] - Ranks[0] == Ranks.Count - 1;

    /// <summary>The processes of a group, by their first ranks: the same order in each of them.</summary>
    public static GroupProcess[] Of(IEnumerable<GroupMember> members) =>
    [
        .. members.Index().GroupBy(member => member.Item.Address.Name, StringComparer.Ordinal)
            .Select(hosted => new GroupProcess(hosted.First().Item.Address, [.. hosted.Select(member => member.Index)])),
    ];
}
