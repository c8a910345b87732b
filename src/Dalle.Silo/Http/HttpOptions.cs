using System.ComponentModel.DataAnnotations;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;

namespace Dalle.Silo.Http;

/// <summary>Who may use the HTTP API, and how much of it at once. Section <c>Dalle:Http</c>, environment variables <c>DALLE_HTTP__...</c>.</summary>
public sealed class HttpOptions
{
    internal const string ApiKeySetting = $"{SiloOptions.Section}:{nameof(SiloOptions.Http)}:{nameof(ApiKey)}";
    internal const string ApiKeyVariable = $"{DalleSilo.EnvironmentPrefix}HTTP__APIKEY";

    /// <summary>
    /// A key that clients may send as <c>Authorization: Bearer KEY</c>, with the role admin: for making the first keys of a cluster that has none. Default: none; where other machines can
    /// connect the cluster then needs a key of its own.
    /// </summary>
    [RegularExpression("[!-~]{16,256}", ErrorMessage = "expected 16 to 256 visible ASCII characters without spaces.")]
    public string? ApiKey { get; set; }

    /// <summary>Requests that a caller may send in a minute, all of them at once if it likes, where its key says nothing else. Callers without a key are told apart by address. Default: 3000.</summary>
    [Range(1, ApiKeySpec.MostRequestsPerMinute)]
    public int RequestsPerMinute { get; set; } = 3000;

    /// <summary>Requests that a caller may have open at once, where its key says nothing else. Default: 128.</summary>
    [Range(1, ApiKeySpec.MostConcurrentRequests)]
    public int ConcurrentRequests { get; set; } = 128;

    /// <summary>Requests of one kind (drawing pictures, following a job) that are open at once; further ones are refused. Default: 256.</summary>
    [Range(1, 100_000)]
    public int MaxStreams { get; set; } = 256;

    /// <summary>Time from one comment to the next on an event stream, so that nothing on the way takes it for dead. Default: 15 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Whether <c>/metrics</c> is for everyone who can connect; else it takes the role admin, unless no other machine can. Default: false.</summary>
    public bool OpenMetrics { get; set; }

    /// <summary>Whether the Orleans Dashboard is at <c>/dashboard</c>, for admins: browsers ask for a key as the password, under any name. Default: true.</summary>
    public bool Dashboard { get; set; } = true;
}
