using System.ComponentModel.DataAnnotations;
using System.Net;
using Dalle.Silo.Storage;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Hosting;

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
        CheckJoin(options, faults);
        if (faults.Count == 0 && (options.ReachableAddress.Equals(IPAddress.Any) || options.ReachableAddress.Equals(IPAddress.IPv6Any)))
        {
            faults.Add($"{SiloOptions.Section}:{nameof(options.AdvertisedAddress)}: {options.ClusterAddress} listens everywhere; name the one address other silos reach this one at.");
        }

        if (faults.Count == 0 && !IPAddress.IsLoopback(options.ClusterListenAddress) && (options.ClusterSecret is null || options.ClusterCertificate is null))
        {
            faults.Add($"{SiloOptions.Section}:{nameof(options.ClusterAddress)}: {options.ClusterAddress} can be reached from other machines, so silos must know each other; set {SiloOptions.Section}:{nameof(options.ClusterSecret)} and {SiloOptions.Section}:{nameof(options.ClusterCertificate)}, or listen on {IPAddress.Loopback}.");
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

    private static void CheckJoin(SiloOptions options, List<string> faults)
    {
        if (options.Join is not { } join)
        {
            return;
        }

        if (ClusterStore.ParseJoin(join) is null)
        {
            faults.Add($"{SiloOptions.JoinSetting}: expected host:port such as 127.0.0.1:11311, got '{join}'. A running silo prints what to join.");
        }

        if (options.Redis is { Length: > 0 })
        {
            faults.Add($"{SiloOptions.JoinSetting}: silos that share a Redis are a cluster already; leave out this setting or {SiloOptions.RedisSetting}.");
        }

        if (options.ClusterSecret is null)
        {
            faults.Add($"{SiloOptions.SecretSetting}: joining a cluster takes its secret; set it, in {SiloOptions.SecretVariable}, as on the silo at {join}.");
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
