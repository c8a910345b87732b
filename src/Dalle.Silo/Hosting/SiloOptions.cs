using System.ComponentModel.DataAnnotations;
using System.Net;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Http;

namespace Dalle.Silo.Hosting;

/// <summary>How this silo runs. Section <c>Dalle</c> of appsettings.json, environment variables <c>DALLE_...</c>, command line <c>--Dalle:...</c>.</summary>
public sealed class SiloOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Dalle";

    internal const string RedisSetting = $"{Section}:{nameof(Redis)}";
    internal const string JoinSetting = $"{Section}:{nameof(Join)}";
    internal const string SecretSetting = $"{Section}:{nameof(ClusterSecret)}";

    /// <summary>The variable of the environment that <see cref="ClusterSecret"/> is best set in.</summary>
    public const string SecretVariable = "DALLE_CLUSTERSECRET";

    /// <summary>Folder of the embedded store and of artifacts; one silo at a time has it. Default: <c>.dalle</c> in the user's home.</summary>
    [Required]
    public string DataFolder { get; set; } = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".dalle");

    /// <summary>Folder of checkpoints and models, shared by the silos of a cluster. Default: the cluster's, and of its first silo <c>artifacts</c> in the data folder.</summary>
    public string? ArtifactFolder { get; set; }

    /// <summary>Address the HTTP API listens on. Default: 127.0.0.1, this machine only.</summary>
    [Required]
    public string Address { get; set; } = IPAddress.Loopback.ToString();

    /// <summary>
    /// Address that other silos and cluster clients connect to. Default: 127.0.0.1, this machine only, whose users are trusted; any other needs
    /// <see cref="ClusterSecret"/> and <see cref="ClusterCertificate"/>.
    /// </summary>
    [Required]
    public string ClusterAddress { get; set; } = IPAddress.Loopback.ToString();

    /// <summary>Address other silos reach this one at. Default: <see cref="ClusterAddress"/>; needed where that is 0.0.0.0 or ::.</summary>
    public string? AdvertisedAddress { get; set; }

    /// <summary>Port silos talk to each other on; 0 for a free one. Default: 0.</summary>
    [Range(0, 65535)]
    public int SiloPort { get; set; }

    /// <summary>Port cluster clients connect to; 0 for a free one. Default: 0.</summary>
    [Range(0, 65535)]
    public int GatewayPort { get; set; }

    /// <summary>Port tensors of training jobs come in on; 0 for a free one. Default: 0.</summary>
    [Range(0, 65535)]
    public int DataPort { get; set; }

    /// <summary>
    /// Port that other silos reach <see cref="DataPort"/> at, where a container or a proxy in between has it under another number. Silos of this machine go by it too, and so through what is in
    /// between. Default: the same.
    /// </summary>
    [Range(1, 65535)]
    public int? AdvertisedDataPort { get; set; }

    /// <summary>Port of the HTTP API; 0 for a free one. Default: 8080.</summary>
    [Range(0, 65535)]
    public int HttpPort { get; set; } = 8080;

    /// <summary>Connection string of a Redis, Valkey or Garnet that the cluster shares. Default: none, a store inside this process with its files in the data folder.</summary>
    public string? Redis { get; set; }

    /// <summary>Where another silo's embedded store listens, as <c>host:port</c>: this silo joins its cluster. Needs that silo's <see cref="ClusterSecret"/>. Default: none, a cluster of its own.</summary>
    public string? Join { get; set; }

    /// <summary>Port of the embedded store, for others to <see cref="Join"/>; 0 for a free one. Default: 0.</summary>
    [Range(0, 65535)]
    public int StorePort { get; set; }

    /// <summary>What silos of one cluster know and no one else, at least 16 characters: with it others can <see cref="Join"/>. Best set in the environment. Default: none, a cluster of one silo.</summary>
    [MinLength(16)]
    public string? ClusterSecret { get; set; }

    /// <summary>
    /// PKCS#12 file (.pfx) of a certificate with its private key, the same on all silos and their clients: they encrypt what they say to each other, and let in no one without it.
    /// Default: none, plain connections.
    /// </summary>
    public string? ClusterCertificate { get; set; }

    /// <summary>Password of the <see cref="ClusterCertificate"/>. Default: none.</summary>
    public string? ClusterCertificatePassword { get; set; }

    /// <summary>Silos of one cluster name the same. Default: dalle.</summary>
    [Required]
    public string ClusterId { get; set; } = SiloCard.DefaultClusterId;

    /// <summary>Time another silo has to answer a probe; two missed probes in a row declare it dead. Shorter gives false verdicts on busy machines. Default: 1 second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:01:00")]
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Time a finished generation session can still be replayed. Default: 1 day.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan SessionRetention { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Largest HTTP request body, in bytes. Default: 1 MiB.</summary>
    [Range(1024, 1 << 30)]
    public int MaxRequestBytes { get; set; } = 1 << 20;

    /// <summary>Who may use the HTTP API, and how much of it at once.</summary>
    public HttpOptions Http { get; set; } = new();

    internal IPAddress ListenAddress => IPAddress.Parse(Address);

    internal IPAddress ClusterListenAddress => IPAddress.Parse(ClusterAddress);

    internal IPAddress ReachableAddress => IPAddress.Parse(AdvertisedAddress ?? ClusterAddress);
}
