using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Text;

namespace Dalle.Model.Native;

/// <summary>
/// Finds TorchSharp's native library where its plain load fails: built with GCC 13, it asks for a newer libstdc++ than Debian 12 and Ubuntu 22.04
/// have, for one symbol that is never called. A copy in memory whose need is marked weak loads; nothing on disk changes.
/// </summary>
internal static partial class TorchSharpLibrary
{
    private const string FileName = "libLibTorchSharp.so";
    private const string TooNewVersion = "GLIBCXX_3.4.32";
    private static readonly Lazy<nint> Handle = new(Load);

    /// <summary>Offers the library to the runtime from now on. Asked only after the plain load has failed.</summary>
    public static void OfferToRuntime() =>
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) => name is "LibTorchSharp" or "libLibTorchSharp" ? Handle.Value : 0;

    private static nint Load()
    {
        if (NativeDirectories().FirstOrDefault(directory => File.Exists(Path.Combine(directory, FileName))) is not { } directory)
        {
            return 0;
        }

        var image = File.ReadAllBytes(Path.Combine(directory, FileName));
        if (ElfVersionNeeds.Weaken(image, TooNewVersion) == 0)
        {
            return 0;
        }

        // The copy has no folder of its own: once libtorch is in the process, the loader finds it by its name.
        NativeLibrary.Load(Path.Combine(directory, "libtorch.so"));
        return LoadFromMemory(image);
    }

    private static nint LoadFromMemory(ReadOnlySpan<byte> image)
    {
        var descriptor = MemoryFile(Encoding.ASCII.GetBytes(FileName + '\0'), flags: 1);
        if (descriptor < 0)
        {
            throw new DllNotFoundException($"No memory file could be made for {FileName} (error {Marshal.GetLastPInvokeError()}).");
        }

        using var file = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(descriptor, ownsHandle: true), FileAccess.ReadWrite, bufferSize: 0);
        file.Write(image);
        return NativeLibrary.Load($"/proc/self/fd/{descriptor}");
    }

    private static IEnumerable<string> NativeDirectories() =>
        ((AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string)?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [])
        .Append(AppContext.BaseDirectory);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true)]
    private static partial int MemoryFile(ReadOnlySpan<byte> name, uint flags);
}
