using System.ComponentModel.DataAnnotations;
using Dalle.Silo.Hosting;

namespace Dalle.Silo.Http;

/// <summary>Who may use the HTTP API, and how much of it at once. Section <c>Dalle:Http</c>, environment variables <c>DALLE_HTTP__...</c>.</summary>
public sealed class HttpOptions
{
    internal const string ApiKeySetting = $"{SiloOptions.Section}:{nameof(SiloOptions.Http)}:{nameof(ApiKey)}";
    internal const string ApiKeyVariable = $"{DalleSilo.EnvironmentPrefix}HTTP__APIKEY";

    /// <summary>What clients must send as <c>Authorization: Bearer KEY</c>. Default: none, which is allowed only where no other machine can connect.</summary>
    [RegularExpression("[!-~]{16,256}", ErrorMessage = "expected 16 to 256 visible ASCII characters without spaces.")]
    public string? ApiKey { get; set; }

    /// <summary>Requests of one kind (drawing pictures, following a job) that are open at once; further ones are refused. Default: 256.</summary>
    [Range(1, 100_000)]
    public int MaxStreams { get; set; } = 256;

    /// <summary>Time from one comment to the next on an event stream, so that nothing on the way takes it for dead. Default: 15 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(15);
}
