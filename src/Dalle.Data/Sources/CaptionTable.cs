using System.Runtime.CompilerServices;
using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>
/// What tables have in common: rows of (path, caption) become samples. Rows that follow each other with the same path are one sample with several captions.
/// The id is the path.
/// </summary>
internal static class CaptionTable
{
    /// <param name="Path">The picture's path, as the table has it.</param>
    /// <param name="Caption">One caption.</param>
    public readonly record struct Row(string Path, string Caption);

    public static async IAsyncEnumerable<Sample> Read(
        IAsyncEnumerable<Row> rows, string folder, SampleSourceOptions options, Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pictures = new PictureFolder(options.PictureFolder ?? folder, options.MaxPictureBytes);
        string? path = null;
        var captions = new List<string>();
        await foreach (var row in rows.WithCancellation(cancellationToken))
        {
            if (row.Path != path)
            {
                if (path is not null && await Finish(path, captions) is { } sample)
                {
                    yield return sample;
                }
                path = row.Path;
                captions.Clear();
            }
            if (captions.Count < options.MaxCaptions)
            {
                captions.Add(row.Caption);
            }
        }
        if (path is not null && await Finish(path, captions) is { } last)
        {
            yield return last;
        }

        async Task<Sample?> Finish(string id, List<string> own)
        {
            try
            {
                return options.CleanCaptions(own) is { Count: > 0 } clean
                    ? new Sample(id, clean, await pictures.Read(id, cancellationToken))
                    : throw new PictureException(RejectionReason.CaptionMissing, $"'{id}' has no caption.");
            }
            catch (PictureException broken)
            {
                rejected(id, broken.Reason);
                return null;
            }
        }
    }

    /// <summary>The table lacks a column.</summary>
    public static SourceException MissingColumn(string table, string column, IEnumerable<string> present) =>
        new($"'{table}' has no column '{column}'; it has {string.Join(", ", present.Take(20).Select(name => $"'{name}'"))}. Name the path and caption columns in the options.");
}
