using System.Text;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Storage;

/// <summary>The silo's own folder, held by a lock that the operating system lets go of when the process ends, however it ends.</summary>
internal sealed class DataFolder : IDisposable
{
    private const string LockName = "silo.lock";
    private const int LongestOccupant = 256;

    private readonly FileStream _lock;

    /// <summary>Takes the folder, making it if need be.</summary>
    /// <exception cref="IOException">Another silo has it.</exception>
    public DataFolder(IOptions<SiloOptions> options)
    {
        Path = System.IO.Path.GetFullPath(options.Value.DataFolder);
        Directory.CreateDirectory(Path);
        _lock = Take(Path);
        PreviousOccupant = ReadOccupant(_lock);
        File.Delete(System.IO.Path.Combine(Path, SiloCard.FileName));
    }

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; }

    /// <summary>What the last silo here called itself, if it did not <see cref="Vacate"/>: it is surely gone.</summary>
    public string? PreviousOccupant { get; }

    /// <summary>Leaves word of who has the folder now, for the next silo to find if this one is killed.</summary>
    public void Occupy(string name)
    {
        _lock.SetLength(0);
        _lock.Write(Encoding.UTF8.GetBytes(name));
        _lock.Flush();
    }

    /// <summary>Takes the word back, and the card: this silo stopped in order.</summary>
    public void Vacate()
    {
        File.Delete(System.IO.Path.Combine(Path, SiloCard.FileName));
        Occupy("");
    }

    /// <inheritdoc/>
    public void Dispose() => _lock.Dispose();

    private static FileStream Take(string folder)
    {
        var path = System.IO.Path.Combine(folder, LockName);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            var holder = SiloCard.Read(folder) is { } card ? $"process {card.ProcessId} at {card.Http}" : "another process";
            throw new IOException($"Data folder '{folder}' is in use by a silo, {holder}. Stop it, or give this silo another folder ({SiloOptions.Section}:{nameof(SiloOptions.DataFolder)}).", error);
        }
    }

    private static string? ReadOccupant(FileStream file)
    {
        Span<byte> bytes = stackalloc byte[LongestOccupant];
        var count = file.ReadAtLeast(bytes, LongestOccupant, throwOnEndOfStream: false);
        return count > 0 ? Encoding.UTF8.GetString(bytes[..count]) : null;
    }
}
