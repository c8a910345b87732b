using Dalle.Collectives.Groups;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>Arrays by rank, as the process that hosts some of them sees them.</summary>
internal static class Hosted
{
    /// <summary>The arrays of a process' own ranks.</summary>
    public static IReadOnlyList<Elements> OwnOf(this CollectiveGroup group, float[][] arrays) => [.. group.Own.Select(rank => Elements.OfFloat32(arrays[rank]))];

    /// <inheritdoc cref="OwnOf(CollectiveGroup, float[][])"/>
    public static IReadOnlyList<Elements> OwnOf(this CollectiveGroup group, ushort[][] arrays) => [.. group.Own.Select(rank => Elements.OfBFloat16(arrays[rank]))];
}
