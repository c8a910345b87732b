using System.Globalization;
using System.Security.Cryptography;
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

/// <summary>A training state as a folder: a safetensors file, and a manifest with its hash. Save, kill, restore: training goes on to the same bits.</summary>
public static class Checkpoint
{
    /// <summary>The tensors and the number of the next step.</summary>
    public const string StateFile = "state.safetensors";

    /// <summary>Stage, step, and the state file's length and SHA-256, as JSON. Written last: until then there is no checkpoint.</summary>
    public const string ManifestFile = "manifest.json";

    private const string StepKey = "step";

    /// <summary>Writes the state durably, then the manifest. The files of an old checkpoint there are replaced.</summary>
    /// <param name="folder">The checkpoint's folder; created where it is missing.</param>
    /// <param name="stage">What is trained.</param>
    /// <param name="state">What to save.</param>
    public static void Save(string folder, string stage, ICheckpointed state)
    {
        var file = Path.Combine(folder, StateFile);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using (NewDisposeScope())
        {
            SafetensorsFile.Write(file, state.NamedState(), new Dictionary<string, string> { [StepKey] = state.Step.ToString(CultureInfo.InvariantCulture) }, hash);
        }

        // The hash is of the bytes that were meant: had the disk taken others, Restore would tell.
        new CheckpointSeal { Stage = stage, Step = state.Step, Size = new FileInfo(file).Length, Sha256 = Convert.ToHexStringLower(hash.GetHashAndReset()) }
            .Write(Path.Combine(folder, ManifestFile));
    }

    /// <summary>Restores the state in place, once every byte of its file has been checked.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="stage">What is trained.</param>
    /// <param name="state">What to write to.</param>
    /// <exception cref="SafetensorsException">The manifest is missing, the state is not what it says, or both are of something else; nothing was changed.</exception>
    public static void Restore(string folder, string stage, ICheckpointed state)
    {
        var (file, manifest) = (Path.Combine(folder, StateFile), Path.Combine(folder, ManifestFile));
        var seal = CheckpointSeal.Read(manifest);
        if (seal.Stage != stage)
        {
            throw new SafetensorsException(manifest, $"expected a checkpoint of stage '{stage}', got one of '{seal.Stage}'.");
        }

        seal.Verify(file);
        using var tensors = SafetensorsFile.Open(file);
        if (!tensors.Metadata.TryGetValue(StepKey, out var text) || text != seal.Step.ToString(CultureInfo.InvariantCulture))
        {
            throw new SafetensorsException(file, $"expected a property '{StepKey}' of {seal.Step}, got {(text is null ? "none" : $"'{text}'")}.");
        }

        using (NewDisposeScope())
        {
            tensors.ReadAllInto(state.NamedState());
        }

        state.Step = seal.Step;
        state.OnRestored();
    }
}
