using System.CommandLine;
using System.Globalization;
using Dalle.Cli.Hosting;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle edit</c>: completes a picture, or varies it.</summary>
internal static class EditCommand
{
    public static Command Create()
    {
        var file = new Argument<FileInfo>("picture") { Description = "A JPEG, PNG, WebP, GIF or BMP file; its central square is used, and what is transparent of it is drawn anew." };
        var prompt = new Argument<string>("prompt") { Description = "What the whole pictures show.", Arity = ArgumentArity.ZeroOrOne };
        var mask = new Option<FileInfo?>("--mask") { Description = "A picture of the same size, transparent where the picture is drawn anew.", HelpName = "FILE" };
        var top = new Option<double?>("--keep-top") { Description = "Keep this share of the picture from its top, 0 to 1; the rest is drawn anew.", HelpName = "SHARE" }.Within(0, 1);
        var rectangle = new Option<string?>("--redraw") { Description = "Draw a rectangle anew, in pixels of the picture.", HelpName = "X,Y,WIDTH,HEIGHT" };
        var share = new Option<double?>("--vary") { Description = "Draw this share of the tokens anew, others for each picture. Default, where nothing is transparent: 0.5.", HelpName = "SHARE" }.Within(0.001, 1);
        var drawing = new DrawingCommand();
        var command = new Command("edit", "Complete a picture, or draw others like it.") { file, prompt, mask, top, rectangle, share };
        drawing.AddTo(command);
        command.Validators.Add(result =>
        {
            if (((Option[])[mask, top, rectangle, share]).Count(option => result.GetResult(option) is { Implicit: false }) > 1)
            {
                result.AddError("Expected at most one of --mask, --keep-top, --redraw and --vary.");
            }
        });
        command.SetAction((parsed, cancellationToken) => drawing.Run(
            parsed,
            parsed.GetValue(prompt) ?? "",
            model => Completion(
                model, parsed.GetRequiredValue(file), parsed.GetValue(mask),
                parsed.GetValue(top) is { } kept ? (_, y, _, height) => y >= kept * height : parsed.GetValue(rectangle) is { } sides ? Rectangle(sides) : null,
                parsed.GetValue(share)),
            cancellationToken));
        return command;
    }

    /// <param name="model">Decides the size.</param>
    /// <param name="file">The picture.</param>
    /// <param name="mask">Its mask, if there is one.</param>
    /// <param name="redrawn">Whether the pixel of a column and row, of a picture of a width and height, is drawn anew; null if that is not said.</param>
    /// <param name="share">Share of the tokens that are drawn anew; null if that is not said.</param>
    private static PictureToComplete Completion(ModelManifest model, FileInfo file, FileInfo? mask, Func<int, int, int, int, bool>? redrawn, double? share)
    {
        var picture = Read(file, model);
        var cut = mask is not null ? Read(mask, model)
            : redrawn is null ? null
            : SquarePicture.Read(PictureMask.Encode(picture.Width, picture.Height, (x, y) => redrawn(x, y, picture.Width, picture.Height)), model.ImageSize);
        return cut is null || (cut.Width, cut.Height) == (picture.Width, picture.Height)
            ? new() { Picture = picture.Png, Mask = cut is null ? (ReadOnlyMemory<byte>?)null : cut.Png, Share = share }
            : throw new CommandException($"--mask: expected {picture.Width} x {picture.Height} pixels as the picture has, got {cut.Width} x {cut.Height}.");
    }

    private static Func<int, int, int, int, bool> Rectangle(string text)
    {
        int[] sides = [.. text.Split(',').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var side) ? side : -1)];
        return sides is [>= 0 and var left, >= 0 and var top, > 0 and var width, > 0 and var height]
            ? (x, y, _, _) => x >= left && x - left < width && y >= top && y - top < height
            : throw new CommandException($"--redraw expects X,Y,WIDTH,HEIGHT in pixels, such as 16,16,32,32; got '{text}'.");
    }

    private static SquarePicture Read(FileInfo file, ModelManifest model)
    {
        try
        {
            return SquarePicture.Read(File.ReadAllBytes(file.FullName), model.ImageSize);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or PictureException)
        {
            throw new CommandException($"'{file.FullName}' cannot be read as a picture: {error.Message}");
        }
    }
}
