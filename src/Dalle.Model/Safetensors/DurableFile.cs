using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Dalle.Model.Safetensors;

/// <summary>Files that are there whole or not at all, even through a crash of the machine.</summary>
public static partial class DurableFile
{
    /// <summary>What the temporary name of a file that is being written ends with. A killed process may leave one behind.</summary>
    public const string PartialSuffix = ".partial";

    /// <summary>Writes a file under a temporary name, forces it to the disk, gives it its name, and forces the folder too.</summary>
    /// <param name="path">The file; an old one is replaced in one step. Its folder is created, as durably.</param>
    /// <param name="write">Writes the content. If it throws, the old file stays as it was.</param>
    /// <exception cref="IOException">The disk is full or the folder cannot be written.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        path = Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(path)!;
        CreateFolder(folder);

        // Always the same name: what a killed process leaves behind is overwritten by the next try.
        var partial = path + PartialSuffix;
        try
        {
            using (var stream = new FileStream(partial, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }

        SyncFolder(folder);
    }

    /// <summary>Creates a folder and those above it that are missing, and forces each name to the disk: a durable file in a folder that a crash takes away is none.</summary>
    private static void CreateFolder(string folder)
    {
        if (Directory.Exists(folder) || Path.GetDirectoryName(folder) is not { } parent)
        {
            return;
        }

        CreateFolder(parent);
        Directory.CreateDirectory(folder);
        SyncFolder(parent);
    }

    /// <summary>Forces a folder's names to the disk, so that a rename in it survives a crash of the machine. Does nothing on Windows, which has no such call.</summary>
    private static void SyncFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var descriptor = Open(folder, flags: 0);
        if (descriptor < 0)
        {
            throw new IOException($"Folder '{folder}' could not be opened: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        }

        try
        {
            if (Fsync(descriptor) != 0)
            {
                throw new IOException($"Folder '{folder}' could not be forced to the disk: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
            }
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
