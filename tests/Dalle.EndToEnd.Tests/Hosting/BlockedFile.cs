using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>
/// A named pipe in the place of a file that <c>dalle</c> will write. Nobody reads it, so the writer comes to a halt in the middle of its file, and the
/// test knows where it is. The file must be longer than a pipe's buffer (64 KiB).
/// </summary>
internal sealed partial class BlockedFile
{
    private const int ReadOnly = 0;
    private const uint OwnerOnly = 0b110_000_000;

    private readonly string _path;

    /// <param name="path">The file as it is called when it is whole.</param>
    public BlockedFile(string path)
    {
        // It is written under this name first.
        _path = path + ".partial";
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        Check(MakePipe(_path, OwnerOnly));

        // Opening waits for the other end. It stays open, for a writer without a reader would get an error.
        Reached = Task.Run(() => Check(Open(_path, ReadOnly)));
    }

    /// <summary>Completed when the writer has begun.</summary>
    public Task Reached { get; }

    /// <summary>Once the writer was killed: leaves half a file in the pipe's place, as it would have.</summary>
    public void LeaveHalfAFile()
    {
        File.Delete(_path);
        File.WriteAllBytes(_path, new byte[1000]);
    }

    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipe(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
