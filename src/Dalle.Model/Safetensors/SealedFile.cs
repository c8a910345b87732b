using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Dalle.Model.Safetensors;

/// <summary>An open file of a checkpoint. Verified, its tensors are read from the very bytes that were hashed, even if another file takes its name meanwhile.</summary>
internal sealed class SealedFile : IDisposable
{
    /// <summary>The property of each file with the number of the next step, counted from 0.</summary>
    public const string StepKey = "step";

    private readonly CheckpointFile _seal;
    private readonly SafeFileHandle _handle;
    private bool _verified;

    private SealedFile(CheckpointFile seal, SafeFileHandle handle, SafetensorsFile tensors, bool verified) =>
        (_seal, _handle, Tensors, _verified) = (seal, handle, tensors, verified);

    /// <summary>Its header, checked, and its tensors.</summary>
    public SafetensorsFile Tensors { get; }

    /// <summary>Opens a file that has the right length and is of the right step.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="seal">What the file must be.</param>
    /// <param name="step">The checkpoint's step.</param>
    /// <param name="verify">Whether its bytes are verified now.</param>
    /// <exception cref="SafetensorsException">The file is missing, or not what it should be.</exception>
    public static SealedFile Open(string folder, CheckpointFile seal, int step, bool verify)
    {
        var path = Path.Combine(folder, seal.Name);
        var handle = seal.Open(folder);
        try
        {
            if (verify)
            {
                seal.Verify(handle, path);
            }

            var tensors = SafetensorsFile.Open(handle, path);
            if (!tensors.Metadata.TryGetValue(StepKey, out var text) || text != step.ToString(CultureInfo.InvariantCulture))
            {
                throw new SafetensorsException(path, $"expected a property '{StepKey}' of {step}, got {(text is null ? "none" : $"'{text}'")}; the manifest is of another step.");
            }

            return new(seal, handle, tensors, verify);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Verifies its bytes, unless they were.</summary>
    /// <exception cref="SafetensorsException">They are not those that were written.</exception>
    public void Verify()
    {
        if (!_verified)
        {
            _seal.Verify(_handle, Tensors.Path);
            _verified = true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Tensors.Dispose();
}
