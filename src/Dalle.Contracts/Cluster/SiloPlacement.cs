namespace Dalle.Contracts.Cluster;

/// <summary>Placement on the silo that the grain's key names: for grains that own what belongs to a machine.</summary>
[GenerateSerializer, Immutable, Alias("SiloPlacement")]
public sealed class SiloPlacement : PlacementStrategy;

/// <summary>Places the grain class by <see cref="SiloPlacement"/>. Its key is, or ends after a slash with, a silo's address, as <c>SiloAddress.ToParsableString()</c> writes it.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class SiloPlacementAttribute() : Orleans.Placement.PlacementAttribute(new SiloPlacement());
