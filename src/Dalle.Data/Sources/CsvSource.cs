using System.Runtime.CompilerServices;
using CsvHelper;

namespace Dalle.Data.Sources;

/// <summary>
/// A table of picture paths and captions: comma-separated with quotes (.csv), or tab-separated without (.tsv). The first line names the columns.
/// A record over the limit (an unclosed quote, mostly) ends the read and is reported; a short row is reported and passed over.
/// </summary>
public sealed class CsvSource(string path, SampleSourceOptions? options = null) : ISampleSource
{
    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => $"table {Path.GetFileName(path)}";

    public string? Licence => _options.Licence;

    public IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, CancellationToken cancellationToken = default) =>
        CaptionTable.Read(Rows(rejected, cancellationToken), Path.GetDirectoryName(Path.GetFullPath(path))!, _options, rejected, cancellationToken);

    private async IAsyncEnumerable<CaptionTable.Row> Rows(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var tabs = Path.GetExtension(path).Equals(".tsv", StringComparison.OrdinalIgnoreCase);
        await using var csv = CsvReader.FromFile(path, new CsvReaderOptions
        {
            Separator = tabs ? '\t' : ',',
            Mode = tabs ? CsvMode.NoEscape : CsvMode.Rfc4180,
            MaxRecordSize = _options.MaxRecordBytes,
            TrackLineNumbers = true,
        });
        var (pathColumn, captionColumn) = await ReadHeader(csv, cancellationToken);
        while (await Advance(csv, rejected, cancellationToken))
        {
            if (csv.FieldCount > Math.Max(pathColumn, captionColumn) && csv.GetString(pathColumn) is { Length: > 0 } picture)
            {
                yield return new CaptionTable.Row(picture, csv.GetString(captionColumn));
            }
            else
            {
                rejected(Line(csv), RejectionReason.RecordMalformed);
            }
        }
    }

    private async Task<(int Path, int Caption)> ReadHeader(CsvReader csv, CancellationToken cancellationToken)
    {
        try
        {
            await csv.ReadHeaderAsync(cancellationToken);
        }
        catch (CsvFormatException malformed)
        {
            throw new SourceException($"'{path}' does not begin with a line of column names: {malformed.Message}", malformed);
        }
        return (IndexOf([.. csv.Headers], _options.PathColumn), IndexOf([.. csv.Headers], _options.CaptionColumn));
    }

    private async Task<bool> Advance(CsvReader csv, Action<string, RejectionReason> rejected, CancellationToken cancellationToken)
    {
        try
        {
            return await csv.ReadAsync(cancellationToken);
        }
        catch (CsvFormatException)
        {
            rejected(Line(csv), RejectionReason.RecordMalformed);
            return false;
        }
    }

    private string Line(CsvReader csv) => $"{Path.GetFileName(path)}:{csv.LineNumber}";

    private int IndexOf(string[] header, string column) =>
        Array.FindIndex(header, name => name.Trim().Equals(column, StringComparison.OrdinalIgnoreCase)) is >= 0 and var index
            ? index : throw CaptionTable.MissingColumn(path, column, header);
}
