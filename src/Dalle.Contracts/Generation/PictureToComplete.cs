namespace Dalle.Contracts.Generation;

/// <summary>
/// A picture of which a part is kept while the rest is drawn anew: top rows for the paper's image-to-image translation, a rectangle, a brush stroke. It may have
/// any size: its central square is scaled to the model's, and a token of the grid is kept if all its pixels are.
/// </summary>
[GenerateSerializer, Immutable, Alias("PictureToComplete")]
public sealed record PictureToComplete
{
    /// <summary>Largest picture or mask file, in bytes: a session keeps it until it ends.</summary>
    public const int MaxBytes = 4 << 20;

    /// <summary>Share of the tokens that are drawn anew where nothing says which.</summary>
    public const double UsualShare = 0.5;

    /// <summary>A JPEG, PNG, WebP, GIF or BMP file.</summary>
    [Id(0)] public required ReadOnlyMemory<byte> Picture { get; init; }

    /// <summary>A picture file of the same size, transparent where the picture is drawn anew; null to go by the transparency of the picture itself.</summary>
    [Id(1)] public ReadOnlyMemory<byte>? Mask { get; init; }

    /// <summary>
    /// For a variation: share of the tokens that are drawn anew, above 0, at most 1, others for each candidate. Null to go by the mask, or by
    /// <see cref="UsualShare"/> where nothing is transparent.
    /// </summary>
    [Id(2)] public double? Share { get; init; }

    /// <inheritdoc/>
    public bool Equals(PictureToComplete? other) => other is not null
        && Share == other.Share && Mask.HasValue == other.Mask.HasValue
        && Picture.Span.SequenceEqual(other.Picture.Span) && (Mask ?? default).Span.SequenceEqual((other.Mask ?? default).Span);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.Add(Share);
        hash.AddBytes(Picture.Span);
        hash.AddBytes((Mask ?? default).Span);
        return hash.ToHashCode();
    }

    /// <summary>As text: the files' sizes, not their bytes.</summary>
    public override string ToString() => FormattableString.Invariant($"{Picture.Length:N0} bytes, mask {Mask?.Length ?? 0:N0} bytes, share {Share}");

    internal void Validate()
    {
        GenerationRequest.Require(Picture.Length is > 0 and <= MaxBytes, "Picture", $"a picture file of 1 to {MaxBytes} bytes", $"{Picture.Length} bytes");
        GenerationRequest.Require(Mask is null or { Length: > 0 and <= MaxBytes }, "Mask", $"a picture file of 1 to {MaxBytes} bytes", $"{Mask?.Length} bytes");
        GenerationRequest.Require(Share is null or (> 0 and <= 1), "Share", "above 0, at most 1", Share);
        GenerationRequest.Require(Share is null || Mask is null, "Share", "either a mask or a share", Share);
    }
}
