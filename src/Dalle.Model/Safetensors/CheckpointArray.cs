using System.Globalization;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>An array of a checkpoint: the rows of it that the state files have, ordinal after ordinal. One without dimensions, and so without rows, is in a single file.</summary>
internal sealed class CheckpointArray
{
    private readonly string _name;
    private readonly ScalarType _type;
    private readonly bool _hasRows;
    private readonly IReadOnlyList<long> _row;
    private readonly List<(int Ordinal, long First, long Rows)> _slices = [];
    private long _rows;

    private CheckpointArray(SafetensorsEntry slice) => (_name, _type, _hasRows, _row) = (slice.Name, slice.Type, slice.Shape is not [], [.. slice.Shape.Skip(1)]);

    private string Shape => ShapeOf(Number(_rows));

    /// <summary>The arrays of all state files by name.</summary>
    /// <param name="states">By ordinal.</param>
    /// <exception cref="SafetensorsException">Slices of an array do not fit together.</exception>
    public static Dictionary<string, CheckpointArray> Join(IReadOnlyList<SealedFile> states)
    {
        var arrays = new Dictionary<string, CheckpointArray>(StringComparer.Ordinal);
        for (var ordinal = 0; ordinal < states.Count; ordinal++)
        {
            var state = states[ordinal].Tensors;
            foreach (var slice in state.Entries)
            {
                if (!arrays.TryGetValue(slice.Name, out var array))
                {
                    arrays.Add(slice.Name, array = new(slice));
                }

                array.Add(ordinal, slice, state.Path);
            }
        }

        return arrays;
    }

    /// <summary>Why it cannot be read into a target, or null.</summary>
    public string? Problem(CheckpointTarget target)
    {
        var shape = target.Tensor.shape;
        if (target.Tensor.dtype != _type)
        {
            return $"'{_name}' is {_type} instead of {target.Tensor.dtype}";
        }

        var total = target.FirstRow is null ? shape.FirstOrDefault() : target.TotalRows;
        if (_hasRows != shape is not [] || !_row.SequenceEqual(shape.Skip(1)) || (_hasRows && (total ?? _rows) != _rows))
        {
            return $"'{_name}' is {Shape} instead of {(shape is [] ? "[]" : Show(total is { } rows ? Number(rows) : "any", shape.Skip(1)))}";
        }

        return target.FirstRow is { } first && first > _rows - shape[0] ? $"'{_name}' has {_rows} rows instead of {shape[0]} from row {first} on" : null;
    }

    /// <summary>What fills a target that fits, by ordinal.</summary>
    public IEnumerable<SliceRead> Reads(CheckpointTarget target)
    {
        if (!_hasRows)
        {
            return [new(_slices[0].Ordinal, target)];
        }

        var (first, end) = (target.FirstRow ?? 0, (target.FirstRow ?? 0) + target.Tensor.shape[0]);
        return from slice in _slices
               let begin = Math.Max(first, slice.First)
               let rows = Math.Min(end, slice.First + slice.Rows) - begin
               where rows > 0
               select new SliceRead(slice.Ordinal, target, begin - slice.First, begin - first, rows);
    }

    private void Add(int ordinal, SafetensorsEntry slice, string path)
    {
        if (slice.Type != _type || (slice.Shape is not []) != _hasRows || !slice.Shape.Skip(1).SequenceEqual(_row))
        {
            throw new SafetensorsException(
                path, $"expected rows of '{_name}' like those of the ordinals before, {_type} {ShapeOf("any")}, got {slice.Type} [{string.Join(", ", slice.Shape)}].");
        }

        if (!_hasRows && _slices is not [])
        {
            throw new SafetensorsException(path, $"expected '{_name}', which has no rows, in one state file, got it in this one too.");
        }

        // Rows of no bytes cost nothing to claim.
        var rows = _hasRows ? slice.Shape[0] : 0;
        if (rows > long.MaxValue - _rows)
        {
            throw new SafetensorsException(path, $"expected fewer than 2^63 rows of '{_name}' in all, got {rows} after {_rows}.");
        }

        _slices.Add((ordinal, _rows, rows));
        _rows += rows;
    }

    private string ShapeOf(string rows) => _hasRows ? Show(rows, _row) : "[]";

    private static string Show(string rows, IEnumerable<long> row) => $"[{string.Join(", ", row.Select(Number).Prepend(rows))}]";

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Rows of one state file that go into a target.</summary>
/// <param name="Ordinal">Whose file.</param>
/// <param name="Target">Where they go.</param>
/// <param name="FileRow">The first of them in the file.</param>
/// <param name="TargetRow">Where that goes in the target.</param>
/// <param name="Rows">How many; null for an array without rows.</param>
internal sealed record SliceRead(int Ordinal, CheckpointTarget Target, long FileRow = 0, long TargetRow = 0, long? Rows = null)
{
    /// <exception cref="SafetensorsException">The file does not have them.</exception>
    public void From(SafetensorsFile file)
    {
        if (Rows is not { } rows)
        {
            file.ReadInto(Target.Name, Target.Tensor);
            return;
        }

        using var part = Target.Tensor.narrow(0, TargetRow, rows);
        file.ReadRowsInto(Target.Name, part, FileRow);
    }
}
