using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Dalle.Model.Safetensors;

/// <summary>A file of a checkpoint as the process that wrote it meant it to be.</summary>
/// <param name="Name">Its name within the checkpoint's folder: at most 64 letters, digits, '-' and '.', of which the first is no '.', ending with <c>.safetensors</c>.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="Sha256">Hash of its bytes, in 64 lower-case hexadecimal digits.</param>
public sealed record CheckpointFile(string Name, long Size, string Sha256)
{
    private const int MaxNameLength = 64;
    private const int HashLength = 2 * SHA256.HashSizeInBytes;
    private const string StatePrefix = "state-";
    private const string Extension = ".safetensors";

    /// <summary>Bytes hashed at a time.</summary>
    private const int PieceBytes = 1 << 20;

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

    /// <summary>The ordinal whose rows it holds, counted from 0; null if it is no state file.</summary>
    internal int? Ordinal =>
        Name.StartsWith(StatePrefix, StringComparison.Ordinal)
        && int.TryParse(Name.AsSpan(StatePrefix.Length..^Extension.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
        && Name == StateName(ordinal) ? ordinal : null;

    /// <summary>The name of an ordinal's state file.</summary>
    internal static string StateName(int ordinal) => string.Create(CultureInfo.InvariantCulture, $"{StatePrefix}{ordinal}{Extension}");

    /// <summary>What is wrong with a name that a manifest or a caller gives, or null. One that is let through names a file of the folder and no other.</summary>
    internal static string? NameProblem(string name) =>
        name.Length <= MaxNameLength && name.EndsWith(Extension, StringComparison.Ordinal) && name[0] != '.' && !name.AsSpan().ContainsAnyExcept(NameCharacters)
            ? null
            : $"expected file names of at most {MaxNameLength} letters, digits, '-' and '.', ending with '{Extension}', got '{name[..Math.Min(name.Length, MaxNameLength)]}'.";

    /// <summary>What is wrong with it, or null.</summary>
    internal string? Problem() =>
        NameProblem(Name) is { } problem ? problem
        : Size < 0 ? $"expected the length of '{Name}' in bytes, got {Size}."
        : Sha256.Length != HashLength || !Sha256.All(char.IsAsciiHexDigitLower) ? $"expected the SHA-256 of '{Name}' as {HashLength} lower-case hexadecimal digits."
        : null;

    /// <summary>Opens the file and checks its length. The caller disposes it.</summary>
    /// <exception cref="SafetensorsException">There is no such file, or it has another length.</exception>
    internal SafeFileHandle Open(string folder)
    {
        var path = Path.Combine(folder, Name);
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SafetensorsException(path, $"expected {Size} bytes, got no file; all files of a checkpoint must be in its folder, which every process that writes one must share.");
        }

        if (RandomAccess.GetLength(handle) is var length && length == Size)
        {
            return handle;
        }

        handle.Dispose();
        throw new SafetensorsException(path, $"expected {Size} bytes, got {length}; the file was cut off or replaced since it was written.");
    }

    /// <summary>Lets a file through whose bytes are those that were written. It is read in small pieces.</summary>
    /// <exception cref="SafetensorsException">It has another hash.</exception>
    internal void Verify(SafeFileHandle handle, string path)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[PieceBytes];
        for (long offset = 0; RandomAccess.Read(handle, buffer, offset) is > 0 and var read; offset += read)
        {
            hash.AppendData(buffer, 0, read);
        }

        var found = Convert.ToHexStringLower(hash.GetHashAndReset());
        if (found != Sha256)
        {
            throw new SafetensorsException(path, $"expected SHA-256 {Sha256}, got {found}; the file was altered since it was written.");
        }
    }
}
