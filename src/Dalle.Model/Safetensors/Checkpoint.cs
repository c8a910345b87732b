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

/// <summary>
/// A training state as a folder: safetensors files, and a manifest with their hashes, written last. Save, kill, restore: training goes on to the same bits.
/// A state that is split over ordinals has one file of each, with its rows of every array; each may be written by another process.
/// </summary>
public static class Checkpoint
{
    /// <summary>Stage, step, and each file's length and SHA-256, as JSON. Written last: until then there is no checkpoint.</summary>
    public const string ManifestFile = "manifest.json";

    /// <summary>The name of the file with an ordinal's rows of all arrays.</summary>
    /// <param name="ordinal">Counted from 0.</param>
    public static string StateFile(int ordinal)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        return CheckpointFile.StateName(ordinal);
    }

    /// <summary>Writes a whole state durably, as one ordinal, then the manifest. The files of an old checkpoint there are replaced.</summary>
    /// <param name="folder">The checkpoint's folder; created where it is missing.</param>
    /// <param name="stage">What is trained.</param>
    /// <param name="state">What to save.</param>
    public static void Save(string folder, string stage, ICheckpointed state)
    {
        using var scope = NewDisposeScope();
        Seal(folder, stage, state.Step, [WriteFile(folder, StateFile(0), state.Step, state.NamedState())]);
    }

    /// <summary>Restores a whole state in place, whatever number of ordinals wrote it, once every byte of the checkpoint's files has been checked.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="stage">What is trained.</param>
    /// <param name="state">What to write to.</param>
    /// <exception cref="SafetensorsException">The manifest is missing, the files are not what it says, or they are of something else; nothing was changed.</exception>
    public static void Restore(string folder, string stage, ICheckpointed state)
    {
        using (var reader = Open(folder, stage))
        using (NewDisposeScope())
        {
            reader.ReadAllInto(state.NamedState().Select(array => new CheckpointTarget(array.Name, array.Tensor)));
            state.Step = reader.Step;
        }

        state.OnRestored();
    }

    /// <summary>Writes one file of a checkpoint durably: an ordinal's rows of all arrays (see <see cref="StateFile"/>), or something else beside the state.</summary>
    /// <param name="folder">The checkpoint's folder; created where it is missing.</param>
    /// <param name="name">See <see cref="CheckpointFile"/>. A file of that name is replaced.</param>
    /// <param name="step">Number of the next step, counted from 0: the same for all files of a checkpoint.</param>
    /// <param name="tensors">
    /// The tensors by their keys. Ordinals have rows that follow each other; one without rows of an array may leave it out. What is not split is given by ordinal 0 alone.
    /// </param>
    /// <returns>What the manifest must say of the file.</returns>
    /// <exception cref="ArgumentException">The file's name is not allowed, or a tensor's name stands twice or is too long.</exception>
    public static CheckpointFile WriteFile(string folder, string name, int step, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (CheckpointFile.NameProblem(name) is { } problem)
        {
            throw new ArgumentException(problem, nameof(name));
        }

        // The hash is of the bytes that were meant: had the disk taken others, Open would tell.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var metadata = new Dictionary<string, string> { [SealedFile.StepKey] = step.ToString(CultureInfo.InvariantCulture) };
        var size = SafetensorsFile.Write(Path.Combine(folder, name), tensors, metadata, hash);
        return new(name, size, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>Writes the manifest durably, which makes a checkpoint of the files. To be called once, by one process, when all of them are written.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="stage">What is trained, in at most 64 characters.</param>
    /// <param name="step">Number of the next step, counted from 0.</param>
    /// <param name="files">What was written, in any order: the states of all ordinals from 0 on, and what else there is.</param>
    /// <exception cref="ArgumentException">Files are named twice or not as allowed, too many (more than 65,536), or an ordinal's state is missing among them.</exception>
    /// <exception cref="SafetensorsException">A file is not in the folder or has another length: its process wrote it elsewhere.</exception>
    public static void Seal(string folder, string stage, int step, IReadOnlyList<CheckpointFile> files)
    {
        var seal = new CheckpointSeal { Stage = stage, Step = step, Files = [.. files.OrderBy(file => file.Name, StringComparer.Ordinal)] };
        seal.Validate();
        foreach (var file in files)
        {
            file.Open(folder).Dispose();
        }

        seal.Write(Path.Combine(folder, ManifestFile));
    }

    /// <summary>Opens a checkpoint, once its manifest and files have been checked: for reading it into another number of ordinals. The caller disposes the reader.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="stage">What is trained.</param>
    /// <param name="verifyAll">
    /// Whether every byte of every file is verified now. Else that is done for each file before the first tensor is read from it, and of the others only length and header are looked at:
    /// processes that each read a part of a large checkpoint do not each have to read all of it.
    /// </param>
    /// <exception cref="SafetensorsException">The manifest is missing, a file is not what it says, or they are of something else.</exception>
    public static CheckpointReader Open(string folder, string stage, bool verifyAll = true) => CheckpointReader.Open(folder, stage, verifyAll);
}
