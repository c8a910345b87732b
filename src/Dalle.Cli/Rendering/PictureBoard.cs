using Dalle.Cli.Hosting;
using Dalle.Data.Pictures;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Rendering;

/// <summary>Several pictures side by side in the terminal, repainted as they come where that is possible.</summary>
/// <param name="count">Pictures there will be.</param>
internal sealed class PictureBoard(int count)
{
    private const int MaxColumns = 40;
    private readonly Picture?[] _pictures = new Picture?[count];

    /// <summary>Puts a picture in its place.</summary>
    public void Put(int index, Picture picture) => _pictures[index] = picture;

    /// <summary>Shows the pictures so far, where the terminal can.</summary>
    public void Write(Terminal terminal)
    {
        if (terminal.IsInteractive)
        {
            terminal.Console.Write(View(terminal.Console.Profile.Width));
        }
    }

    /// <summary>Runs <paramref name="work"/>, which hands in pictures by their number, and shows them: live if asked and possible, else once at the end.</summary>
    public async Task Show(Terminal terminal, bool live, Func<Action<int, Picture>, Task> work)
    {
        if (!live || !terminal.IsInteractive)
        {
            await work(Put);
            Write(terminal);
            return;
        }

        var console = terminal.Console;
        await console.Live(View(console.Profile.Width)).Overflow(VerticalOverflow.Crop).StartAsync(screen => work((index, picture) =>
        {
            Put(index, picture);
            screen.UpdateTarget(View(console.Profile.Width));
        }));
    }

    /// <summary>The pictures so far, in as many to a row as the terminal has room for.</summary>
    internal IRenderable View(int width)
    {
        var shown = _pictures.OfType<Picture>().ToArray();
        if (shown is [])
        {
            return Text.Empty;
        }

        var columns = Math.Min(MaxColumns, shown[0].Width);
        var perRow = Math.Max(1, Math.Min(shown.Length, (width + 1) / (columns + 1)));
        return new Rows(shown.Chunk(perRow).Select(row =>
        {
            var grid = new Grid { Expand = false };
            foreach (var _ in row)
            {
                grid.AddColumn(new GridColumn().NoWrap().PadLeft(0).PadRight(1));
            }

            return grid.AddRow([.. row.Select(picture => new HalfBlockPicture(picture, columns))]);
        }));
    }
}
