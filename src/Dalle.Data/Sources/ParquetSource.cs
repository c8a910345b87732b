using System.Runtime.CompilerServices;
using Parquet;
using Parquet.Schema;

namespace Dalle.Data.Sources;

/// <summary>
/// A Parquet table with a column of picture paths and one of captions, both strings. One row group is held at a time; a damaged file gives the row groups
/// before the damage and is reported under its name.
/// </summary>
public sealed class ParquetSource(string path, SampleSourceOptions? options = null) : ISampleSource
{
    private const int MaxRowsPerGroup = 16_000_000;

    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => $"table {Path.GetFileName(path)}";

    public string? Licence => _options.Licence;

    public IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, CancellationToken cancellationToken = default) =>
        CaptionTable.Read(Rows(rejected, cancellationToken), Path.GetDirectoryName(Path.GetFullPath(path))!, _options, rejected, cancellationToken);

    private async IAsyncEnumerable<CaptionTable.Row> Rows(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        await using var table = await Open(file, cancellationToken);
        var (pathColumn, captionColumn) = (Column(table, _options.PathColumn), Column(table, _options.CaptionColumn));
        for (var group = 0; group < table.RowGroupCount; group++)
        {
            if (await ReadGroup(table, group, pathColumn, captionColumn, cancellationToken) is not { } columns)
            {
                rejected(Path.GetFileName(path), RejectionReason.RecordMalformed);
                yield break;
            }
            for (var row = 0; row < columns.Paths.Length; row++)
            {
                if (string.IsNullOrEmpty(columns.Paths[row]))
                {
                    rejected($"{Path.GetFileName(path)}:{group}.{row}", RejectionReason.RecordMalformed);
                    continue;
                }
                yield return new CaptionTable.Row(columns.Paths[row]!, columns.Captions[row] ?? "");
            }
        }
    }

    private async Task<ParquetReader> Open(FileStream file, CancellationToken cancellationToken)
    {
        try
        {
            ParquetFooter.Check(file);
            var table = await ParquetReader.CreateAsync(file, new ParquetOptions { TreatByteArrayAsString = true }, leaveStreamOpen: true, cancellationToken);
            return table.Schema.DataFields.Length > 0 ? table : throw new InvalidDataException("it has no columns.");
        }
        catch (Exception damage) when (IsDamage(damage))
        {
            throw new SourceException($"'{path}' is not a readable Parquet file: {damage.Message}", damage);
        }
    }

    private DataField Column(ParquetReader table, string name)
    {
        var fields = table.Schema.GetDataFields();
        return fields.FirstOrDefault(field => field.Path.Length == 1 && field.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) switch
        {
            null => throw CaptionTable.MissingColumn(path, name, fields.Select(field => field.Name)),
            { IsArray: false } field when field.ClrType == typeof(ReadOnlyMemory<char>) || field.ClrType == typeof(string) => field,
            var field => throw new SourceException($"Column '{name}' of '{path}' holds {field.ClrType.Name}; strings are expected."),
        };
    }

    private static async Task<(string?[] Paths, string?[] Captions)?> ReadGroup(
        ParquetReader table, int group, DataField pathColumn, DataField captionColumn, CancellationToken cancellationToken)
    {
        try
        {
            using var rows = table.OpenRowGroupReader(group);
            if (rows.RowCount is < 0 or > MaxRowsPerGroup)
            {
                return null;
            }
            var (paths, captions) = (new string?[rows.RowCount], new string?[rows.RowCount]);
            await rows.ReadAsync(pathColumn, paths, null, cancellationToken);
            await rows.ReadAsync(captionColumn, captions, null, cancellationToken);
            return (paths, captions);
        }
        catch (Exception damage) when (IsDamage(damage))
        {
            return null;
        }
    }

    // The reader meets damage with whatever its own arithmetic runs into.
    private static bool IsDamage(Exception exception) => exception is not (OperationCanceledException or OutOfMemoryException);
}
