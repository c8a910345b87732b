using Dalle.Data.Sources;

namespace Dalle.Data.Pictures;

/// <summary>The bytes are not a picture that can be used.</summary>
public sealed class PictureException(RejectionReason reason, string message) : Exception(message)
{
    /// <summary>Why, as it stands in a manifest.</summary>
    public RejectionReason Reason { get; } = reason;
}
