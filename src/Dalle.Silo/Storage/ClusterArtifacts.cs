using System.Text;
using System.Text.Json;
using Dalle.Model.Safetensors;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Storage;

/// <summary>
/// The one folder of checkpoints and models that the silos of a cluster share. Its mark, a file in it, is also in the store: a silo that has another folder by that name,
/// or has not mounted the shared one, is refused before it can lose anybody's work.
/// </summary>
internal sealed class ClusterArtifacts
{
    private const string MarkFile = ".cluster";

    private readonly Lazy<string> _folder;

    public ClusterArtifacts(IOptions<SiloOptions> options, ClusterStore store, DataFolder data) => _folder = new(() => Settle(options.Value, store, data));

    /// <summary>The folder, as a full path. Asked for the first time, this settles which it is, and makes it if this silo is the cluster's first.</summary>
    /// <exception cref="IOException">This silo's is not the cluster's.</exception>
    public string Folder => _folder.Value;

    private static string Settle(SiloOptions options, ClusterStore store, DataFolder data)
    {
        var own = options.ArtifactFolder ?? Path.Combine(data.Path, "artifacts");
        var alone = options is { Redis: null or "", Join: null };
        var shared = alone ? null : Read(store, options.ClusterId);
        var folder = Path.GetFullPath(options.ArtifactFolder ?? shared?.Folder ?? own);
        shared ??= Record(store, options.ClusterId, new(folder, MarkOf(folder) ?? WriteMark(folder)), alone ? When.Always : When.NotExists);
        return MarkOf(folder) == shared.Mark ? folder : throw new IOException(
            $"'{folder}' is not the folder of artifacts that cluster '{options.ClusterId}' shares, '{shared.Folder}' on its first silo. Mount that here and name it in {SiloOptions.Section}:{nameof(options.ArtifactFolder)}.");
    }

    private static string? MarkOf(string folder) => Path.Combine(folder, MarkFile) is var file && File.Exists(file) ? File.ReadAllText(file) : null;

    private static string WriteMark(string folder)
    {
        var mark = Guid.NewGuid().ToString("N");
        DurableFile.Write(Path.Combine(folder, MarkFile), file => file.Write(Encoding.ASCII.GetBytes(mark)));
        return mark;
    }

    private static Shared? Read(ClusterStore store, string cluster) => InStore(store, database => database.StringGet(Key(cluster))) is { IsNull: false } json
        ? JsonSerializer.Deserialize<Shared>((string)json!)
        : null;

    private static Shared Record(ClusterStore store, string cluster, Shared shared, When when)
    {
        InStore(store, database => database.StringSet(Key(cluster), JsonSerializer.Serialize(shared), when: when));
        return Read(store, cluster)!;
    }

    private static T InStore<T>(ClusterStore store, Func<IDatabase, T> work)
    {
        using var connection = ConnectionMultiplexer.Connect(store.Connection);
        return work(connection.GetDatabase());
    }

    private static RedisKey Key(string cluster) => $"{cluster}/artifacts";

    private sealed record Shared(string Folder, string Mark);
}
