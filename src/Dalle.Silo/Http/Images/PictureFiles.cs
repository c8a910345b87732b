using System.Buffers.Text;
using System.Text.Json;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Images;

/// <summary>The picture files of a request, from its form or out of its JSON. Nothing is ever fetched from an address.</summary>
/// <param name="Picture">The picture to go on from.</param>
/// <param name="Mask">What of it is drawn anew; null where the request has none.</param>
internal sealed record PictureFiles(byte[] Picture, byte[]? Mask)
{
    /// <summary>Largest file, in bytes.</summary>
    public const int MaxBytes = 16 << 20;

    private static readonly PictureLimits Limits = new() { MaxBytes = MaxBytes, MaxPixels = 32_000_000 };

    /// <summary>The bytes of a data URL, of bare base64, or of the only entry of an object or list with one.</summary>
    /// <exception cref="ApiException">It is something else.</exception>
    public static byte[]? Of(JsonElement? element, string parameter) => element switch
    {
        null or { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
        { ValueKind: JsonValueKind.String } text => OfText(text.GetString()!, parameter),
        { ValueKind: JsonValueKind.Array } list when list.GetArrayLength() == 1 => Of(list[0], parameter),
        { ValueKind: JsonValueKind.Array } list => throw ApiException.Invalid(parameter, "one picture, which is what these models go on from", $"{list.GetArrayLength()}"),
        { ValueKind: JsonValueKind.Object } entry when entry.TryGetProperty("image_url", out var url) => Of(url, parameter),
        { ValueKind: JsonValueKind.Object } entry when entry.TryGetProperty("url", out var url) => Of(url, parameter),
        _ => throw ApiException.Invalid(parameter, "a data URL, or an object with one as image_url", "something else"),
    };

    /// <summary>What is completed, at the model's size.</summary>
    /// <exception cref="ApiException">A file is no picture, or the mask is of another size.</exception>
    public PictureToComplete Fit(ModelManifest model)
    {
        var picture = Read(Picture, "image");
        var mask = Mask is null ? null : Read(Mask, "mask");
        return mask is null || (mask.Width, mask.Height) == (picture.Width, picture.Height)
            ? new() { Picture = picture.Png, Mask = mask is null ? (ReadOnlyMemory<byte>?)null : mask.Png }
            : throw ApiException.Invalid("mask", $"{picture.Width}x{picture.Height} pixels, as the picture has", $"{mask.Width}x{mask.Height}");

        SquarePicture Read(byte[] file, string parameter)
        {
            try
            {
                return SquarePicture.Read(file, model.ImageSize, Limits);
            }
            catch (PictureException error)
            {
                throw ApiException.Invalid(parameter, "a picture file", $"what is none: {error.Message}");
            }
        }
    }

    private static byte[] OfText(string text, string parameter)
    {
        if (text.StartsWith("http:", StringComparison.OrdinalIgnoreCase) || text.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
        {
            throw ApiException.Invalid(parameter, "the picture itself, as a data URL (this server opens no addresses)", "an address");
        }

        var base64 = text.StartsWith("data:", StringComparison.OrdinalIgnoreCase) && text.IndexOf(";base64,", StringComparison.OrdinalIgnoreCase) is >= 0 and var mark
            ? text.AsSpan(mark + ";base64,".Length)
            : text;
        if (!Base64.IsValid(base64, out var length) || length is 0 or > MaxBytes)
        {
            throw ApiException.Invalid(parameter, $"1 to {MaxBytes} bytes in base64", length > MaxBytes ? $"{length} bytes" : "something else");
        }

        return Convert.FromBase64String(base64.ToString());
    }
}
