using System.Globalization;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>
/// Something whose whole state between two steps is a set of named tensors and the number of the next step: what a checkpoint holds. A trainer gives
/// its masters, moments and averages by parameter (<see cref="ParameterFile.Views"/>), and scalars as tensors without dimensions.
/// </summary>
public interface ICheckpointed
{
    /// <summary>Number of the next step, counted from 0.</summary>
    int Step { get; set; }

    /// <summary>The tensors themselves, not copies: they are read to save and written to restore. New views belong to the caller's dispose scope.</summary>
    IEnumerable<(string Name, Tensor Tensor)> NamedState();

    /// <summary>Called after the tensors were written: brings what is derived from them up to date.</summary>
    void OnRestored();
}

/// <summary>A training state as one safetensors file. Save, kill, restore: training goes on to the same bits.</summary>
public static class Checkpoint
{
    private const string StepKey = "step";

    /// <summary>Writes the state durably; an old file of that name is replaced in one step.</summary>
    /// <param name="path">The file.</param>
    /// <param name="state">What to save.</param>
    /// <param name="metadata">Further string properties; <c>step</c> is the checkpoint's own.</param>
    public static void Save(string path, ICheckpointed state, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var properties = new Dictionary<string, string>(metadata ?? new Dictionary<string, string>())
        {
            [StepKey] = state.Step.ToString(CultureInfo.InvariantCulture),
        };
        using var scope = NewDisposeScope();
        SafetensorsFile.Write(path, state.NamedState(), properties);
    }

    /// <summary>Restores the state in place.</summary>
    /// <returns>The file's string properties.</returns>
    /// <exception cref="SafetensorsException">The file is damaged or holds another state; nothing was changed by the latter.</exception>
    public static IReadOnlyDictionary<string, string> Restore(string path, ICheckpointed state)
    {
        using var file = SafetensorsFile.Open(path);
        if (!file.Metadata.TryGetValue(StepKey, out var text) || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var step))
        {
            throw new SafetensorsException(path, $"expected a checkpoint with a property '{StepKey}', got {(text is null ? "none" : $"'{text}'")}.");
        }

        using (NewDisposeScope())
        {
            file.ReadAllInto(state.NamedState());
        }

        state.Step = step;
        state.OnRestored();
        return file.Metadata;
    }
}
