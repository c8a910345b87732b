using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>A member of a group; its rank is its place in the group's list.</summary>
/// <param name="Number">Its number within the job, unique there: two groups may share members.</param>
/// <param name="Address">The process that hosts it. A process may host several members.</param>
public sealed record GroupMember(ushort Number, PeerAddress Address);
