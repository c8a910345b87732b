using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>How a contact sheet is laid out.</summary>
public sealed record ContactSheetLayout
{
    /// <summary>Pictures in a row; null: as many as make the sheet about square.</summary>
    public int? Columns { get; init; }

    /// <summary>Side of the square that holds one picture, in pixels. Small pictures are enlarged by whole factors. Default: 128.</summary>
    public int CellSide { get; init; } = 128;

    /// <summary>Most lines of caption under a picture. Default: 2.</summary>
    public int CaptionLines { get; init; } = 2;

    /// <summary>White pixels between cells. Default: 8.</summary>
    public int Gap { get; init; } = 8;
}

/// <summary>One picture of many: a grid on white with the captions underneath.</summary>
public static class ContactSheet
{
    /// <summary>Draws the pictures in order, row by row. A null caption leaves its place empty; with no captions at all, no place is kept.</summary>
    public static Picture Draw(IReadOnlyList<(Picture Picture, string? Caption)> pictures, ContactSheetLayout? layout = null)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pictures.Count, nameof(pictures));
        layout ??= new ContactSheetLayout();
        var columns = Math.Min(pictures.Count, layout.Columns ?? (int)Math.Ceiling(Math.Sqrt(pictures.Count)));
        var rows = (pictures.Count + columns - 1) / columns;
        var captionHeight = pictures.Any(p => p.Caption is not null) ? 3 + layout.CaptionLines * Lettering.LineHeight : 0;
        var (pitchX, pitchY) = (layout.CellSide + layout.Gap, layout.CellSide + captionHeight + layout.Gap);

        using var bitmap = new SKBitmap(layout.Gap + columns * pitchX, layout.Gap + rows * pitchY, SKColorType.Rgba8888, SKAlphaType.Opaque);
        using (var canvas = new SKCanvas(bitmap))
        {
            canvas.Clear(SKColors.White);
            for (var i = 0; i < pictures.Count; i++)
            {
                DrawFitted(canvas, pictures[i].Picture, layout.Gap + i % columns * pitchX, layout.Gap + i / columns * pitchY, layout.CellSide);
            }
        }
        var sheet = Bitmaps.ToPicture(bitmap);
        for (var i = 0; i < pictures.Count; i++)
        {
            var (left, top) = (layout.Gap + i % columns * pitchX, layout.Gap + i / columns * pitchY + layout.CellSide + 3);
            foreach (var line in Lettering.Break(pictures[i].Caption ?? "", layout.CellSide, layout.CaptionLines))
            {
                Lettering.Draw(sheet, line, left, top);
                top += Lettering.LineHeight;
            }
        }
        return sheet;
    }

    private static void DrawFitted(SKCanvas canvas, Picture picture, int left, int top, int side)
    {
        using var bitmap = Bitmaps.From(picture);
        using var image = SKImage.FromBitmap(bitmap);
        var longest = Math.Max(picture.Width, picture.Height);
        var scale = longest <= side ? side / longest : (float)side / longest;
        var (width, height) = (picture.Width * scale, picture.Height * scale);
        var sampling = scale >= 1 ? new SKSamplingOptions(SKFilterMode.Nearest) : new SKSamplingOptions(SKFilterMode.Linear, SKMipmapMode.Linear);
        canvas.DrawImage(image, SKRect.Create(left + (side - width) / 2, top + (side - height) / 2, width, height), sampling);
    }
}
