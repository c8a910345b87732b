using System.Text.Json;

namespace Dalle.Contracts.Cluster;

/// <summary>How to reach a running silo: a file in its data folder, there from the moment it serves until it stops.</summary>
/// <param name="ProcessId">The silo's process.</param>
/// <param name="Gateway">Where cluster clients connect, as <c>address:port</c>.</param>
/// <param name="Http">Base address of the HTTP API.</param>
/// <param name="ClusterId">The cluster it is part of; clients must name the same.</param>
/// <param name="Artifacts">Root of its artifact store, in full.</param>
/// <param name="Join">What other silos join its cluster by, as <c>address:port</c>; null where they cannot.</param>
public sealed record SiloCard(int ProcessId, string Gateway, string Http, string ClusterId, string Artifacts, string? Join = null)
{
    /// <summary>Name of the file in the data folder.</summary>
    public const string FileName = "silo.json";

    /// <summary>The cluster a silo belongs to unless it is told otherwise.</summary>
    public const string DefaultClusterId = "dalle";

    /// <summary>The card in a data folder; null if no silo serves it. A card may outlive a killed silo: only connecting tells.</summary>
    /// <exception cref="InvalidDataException">The file is not a silo's card.</exception>
    public static SiloCard? Read(string dataFolder)
    {
        var path = Path.Combine(dataFolder, FileName);
        try
        {
            return JsonSerializer.Deserialize<SiloCard>(File.ReadAllBytes(path), JsonSerializerOptions.Web)
                ?? throw new InvalidDataException($"'{path}' is empty; delete it.");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"'{path}' does not describe a silo ({error.Message}); delete it.", error);
        }
    }

    /// <summary>Puts the card into a data folder, whole or not at all.</summary>
    public void Write(string dataFolder)
    {
        var path = Path.Combine(dataFolder, FileName);
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this, JsonSerializerOptions.Web));
        File.Move(path + ".new", path, overwrite: true);
    }
}
