using Dalle.Model.Safetensors;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

/// <summary>
/// A state of arrays that are split by rows, of several ranks and element types, with fewer rows than there are ordinals and with none, and of two that are not split.
/// No two elements of an array are the same.
/// </summary>
internal sealed class ArrayState : ICheckpointed, IDisposable
{
    private static readonly string[] Unsplit = ["plateau", "scale"];

    private readonly Dictionary<string, Tensor> _arrays;

    private ArrayState(Dictionary<string, Tensor> arrays) => _arrays = arrays;

    public int Step { get; set; }

    public bool WasRestored { get; private set; }

    public static ArrayState Counted(int step) => new(new()
    {
        ["parameters.weight"] = arange(Number(1), Number(22), One, dtype: ScalarType.Float32).reshape(7, 3),
        ["parameters.kernel"] = arange(Number(1), Number(41), One, dtype: ScalarType.Float32).reshape(5, 2, 2, 2),
        ["parameters.bias"] = arange(Number(1), Number(3), One, dtype: ScalarType.Float32),
        ["parameters.none"] = empty(0, 4),
        ["optimizer.mean.weight"] = arange(Number(1), Number(22), One, dtype: ScalarType.Int16).reshape(7, 3),
        ["plateau"] = arange(Number(1), Number(5), One, dtype: ScalarType.Float64),
        ["scale"] = tensor(1L),
    })
    { Step = step };

    /// <summary>The same arrays, of zeros.</summary>
    public static ArrayState Zero()
    {
        using var counted = Counted(0);
        return new(counted._arrays.ToDictionary(array => array.Key, array => zeros_like(array.Value)));
    }

    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => _arrays.Select(array => (array.Key, array.Value));

    public void OnRestored() => WasRestored = true;

    /// <summary>What an ordinal has of each array: as many rows as the others, or all of them as the last, and the others none. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<CheckpointTarget> Slices(int ordinal, int ordinals, bool lastHasAll = false)
    {
        foreach (var (name, array) in _arrays)
        {
            if (Unsplit.Contains(name))
            {
                yield return new(name, array);
                continue;
            }

            var rows = array.shape[0];
            long Cut(int before) => lastHasAll ? (before == ordinals ? rows : 0) : before * rows / ordinals;
            var (first, end) = (Cut(ordinal), Cut(ordinal + 1));
            yield return new(name, array.narrow(0, first, end - first), first, rows);
        }
    }

    /// <summary>Writes the state file of one ordinal, as one process of several would.</summary>
    public CheckpointFile Write(string folder, int ordinal, int ordinals, bool lastHasAll = false, bool leaveOutEmpty = false)
    {
        using var scope = NewDisposeScope();
        return Checkpoint.WriteFile(folder, Checkpoint.StateFile(ordinal), Step, Slices(ordinal, ordinals, lastHasAll)
            .Where(slice => ordinal == 0 || (!Unsplit.Contains(slice.Name) && !(leaveOutEmpty && slice.Tensor.numel() == 0)))
            .Select(slice => (slice.Name, slice.Tensor)));
    }

    /// <summary>Writes and seals a checkpoint of several ordinals.</summary>
    public void Save(string folder, string stage, int ordinals, bool lastHasAll = false, bool leaveOutEmpty = false) =>
        Checkpoint.Seal(folder, stage, Step, [.. Enumerable.Range(0, ordinals).Select(ordinal => Write(folder, ordinal, ordinals, lastHasAll, leaveOutEmpty))]);

    public void AssertSame(ArrayState other)
    {
        Assert.Equal(Step, other.Step);
        Assert.All(_arrays, array => Assert.Equal(array.Value.bytes.ToArray(), other._arrays[array.Key].bytes.ToArray()));
    }

    public void AssertZero() => Assert.All(_arrays.Values, array => Assert.All(array.bytes.ToArray(), value => Assert.Equal(0, value)));

    public void Dispose()
    {
        foreach (var array in _arrays.Values)
        {
            array.Dispose();
        }
    }
}
