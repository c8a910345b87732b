using System.ComponentModel.DataAnnotations;
using System.Net;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Http;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Hosting;

/// <summary>How this silo runs. Section <c>Dalle</c> of appsettings.json, environment variables <c>DALLE_...</c>, command line <c>--Dalle:...</c>.</summary>
public sealed class SiloOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Dalle";

    internal const string RedisSetting = $"{Section}:{nameof(Redis)}";

    /// <summary>Folder of the embedded store and of artifacts; one silo at a time has it. Default: <c>.dalle</c> in the user's home.</summary>
    [Required]
    public string DataFolder { get; set; } = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".dalle");

    /// <summary>Folder of checkpoints and models, shared by the silos of a cluster. Default: <c>artifacts</c> in the data folder.</summary>
    public string? ArtifactFolder { get; set; }

    /// <summary>Address the HTTP API listens on. Default: 127.0.0.1, this machine only.</summary>
    [Required]
    public string Address { get; set; } = IPAddress.Loopback.ToString();

    /// <summary>
    /// Address that other silos and cluster clients connect to. They show no key: whoever can connect may do anything, so it belongs to a network of trusted machines.
    /// Default: 127.0.0.1, this machine only.
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

    /// <summary>Port of the HTTP API; 0 for a free one. Default: 8080.</summary>
    [Range(0, 65535)]
    public int HttpPort { get; set; } = 8080;

    /// <summary>Connection string of a Redis, Valkey or Garnet that the cluster shares. Default: none, a store inside this process with its files in the data folder.</summary>
    public string? Redis { get; set; }

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

    internal string Artifacts => ArtifactFolder ?? Path.Combine(DataFolder, "artifacts");
}

/// <summary>Checks <see cref="SiloOptions"/> when the host starts; every message names the setting.</summary>
internal sealed class SiloOptionsValidator : IValidateOptions<SiloOptions>
{
    public ValidateOptionsResult Validate(string? name, SiloOptions options)
    {
        var faults = new List<string>();
        CheckRanges(SiloOptions.Section, options, faults);
        CheckRanges($"{SiloOptions.Section}:{nameof(options.Http)}", options.Http, faults);
        CheckAddress(nameof(options.Address), options.Address, faults);
        CheckAddress(nameof(options.ClusterAddress), options.ClusterAddress, faults);
        CheckAddress(nameof(options.AdvertisedAddress), options.AdvertisedAddress ?? IPAddress.Loopback.ToString(), faults);
        CheckRedis(options.Redis, faults);
        if (faults.Count == 0 && (options.ReachableAddress.Equals(IPAddress.Any) || options.ReachableAddress.Equals(IPAddress.IPv6Any)))
        {
            faults.Add($"{SiloOptions.Section}:{nameof(options.AdvertisedAddress)}: {options.ClusterAddress} listens everywhere; name the one address other silos reach this one at.");
        }

        if (faults.Count == 0 && !IPAddress.IsLoopback(options.ListenAddress) && options.Http.ApiKey is null)
        {
            faults.Add($"{HttpOptions.ApiKeySetting}: {options.Address} can be reached from other machines, so clients must show a key; set one, in {HttpOptions.ApiKeyVariable}, or listen on {IPAddress.Loopback}.");
        }

        return faults.Count > 0 ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
    }

    private static void CheckRanges(string section, object options, List<string> faults)
    {
        var found = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), found, validateAllProperties: true);
        faults.AddRange(found.Select(fault => $"{section}:{string.Join(',', fault.MemberNames)}: {fault.ErrorMessage}"));
    }

    private static void CheckAddress(string setting, string address, List<string> faults)
    {
        if (!IPAddress.TryParse(address, out _))
        {
            faults.Add($"{SiloOptions.Section}:{setting}: expected an IP address such as 127.0.0.1, got '{address}'.");
        }
    }

    private static void CheckRedis(string? redis, List<string> faults)
    {
        try
        {
            if (redis is { Length: > 0 } && ConfigurationOptions.Parse(redis).EndPoints.Count == 0)
            {
                faults.Add($"{SiloOptions.RedisSetting}: expected a connection string such as 127.0.0.1:6379, got one that names no server.");
            }
        }
        catch (ArgumentException malformed)
        {
            faults.Add($"{SiloOptions.RedisSetting}: expected a connection string such as 127.0.0.1:6379; {malformed.Message}");
        }
    }
}
