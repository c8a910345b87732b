namespace Dalle.Grains.Generation;

/// <summary>Where sessions are kept: apart from what lives for good, since a silo lets them expire.</summary>
public static class GenerationStorage
{
    /// <summary>Name of the storage provider that the host brings.</summary>
    public const string Name = "sessions";
}
