using System.Text.Json;

namespace Dalle.Silo.Http.Streaming;

/// <summary>One event of an event stream.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Json">Its content, on one line.</param>
/// <param name="Id">Where a reader that was cut off goes on; null on streams that cannot be gone on with.</param>
internal readonly record struct ServerEvent(string Type, ReadOnlyMemory<byte> Json, long? Id = null);

/// <summary>An error that came after the answer had begun: the stream's last event.</summary>
internal sealed record StreamError(Errors.ApiError Error)
{
    public string Type { get; } = "error";

    public ServerEvent ToEvent() => new(Type, JsonSerializer.SerializeToUtf8Bytes(this, HttpJson.Api.StreamError));
}
