using System.ComponentModel;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;

namespace Dalle.Data.Sources;

/// <summary>A package of the npm registry, fetched once by the npm client (which checks its integrity) and read from its archive without unpacking it.</summary>
internal sealed record NpmPackage(string Name, string Version)
{
    private string FileName => $"{Name}-{Version}.tgz";

    /// <summary>The package's archive in the folder, downloaded if it is not there yet.</summary>
    /// <exception cref="SourceException">There is no npm, or it failed.</exception>
    public async Task<string> Fetch(string folder, CancellationToken cancellationToken)
    {
        var archive = Path.Combine(folder, FileName);
        if (File.Exists(archive))
        {
            return archive;
        }
        Directory.CreateDirectory(folder);
        var download = Directory.CreateTempSubdirectory("dalle-npm-");
        try
        {
            await Pack(download.FullName, cancellationToken);
            var staged = archive + "." + Guid.NewGuid().ToString("n");
            File.Copy(Path.Combine(download.FullName, FileName), staged);
            File.Move(staged, archive, overwrite: true);
            return archive;
        }
        finally
        {
            download.Delete(recursive: true);
        }
    }

    private async Task Pack(string folder, CancellationToken cancellationToken)
    {
        var remedy = $"Install Node.js (it brings npm), or put {FileName} into the package folder yourself.";
        var start = new ProcessStartInfo(OperatingSystem.IsWindows() ? "npm.cmd" : "npm", ["pack", $"{Name}@{Version}", "--silent"])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var npm = Start(start, remedy);
        try
        {
            var output = npm.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = npm.StandardError.ReadToEndAsync(cancellationToken);
            await npm.WaitForExitAsync(cancellationToken);
            await output;
            if (npm.ExitCode != 0 || !File.Exists(Path.Combine(folder, FileName)))
            {
                throw new SourceException($"npm could not fetch {Name}@{Version} (exit code {npm.ExitCode}). {(await errors).Trim()} {remedy}");
            }
        }
        catch (OperationCanceledException)
        {
            npm.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static Process Start(ProcessStartInfo start, string remedy)
    {
        try
        {
            return Process.Start(start) ?? throw new SourceException($"npm did not start. {remedy}");
        }
        catch (Win32Exception missing)
        {
            throw new SourceException($"npm is needed to download the emoji and was not found. {remedy}", missing);
        }
    }

    /// <summary>The archive's files in its order, each valid until the next is asked for. Names are without the leading "package/".</summary>
    /// <exception cref="SourceException">The archive is damaged.</exception>
    public static async IAsyncEnumerable<(string Name, TarEntry Entry)> Files(
        string archive, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        await using var tar = new TarReader(new GZipStream(file, CompressionMode.Decompress));
        while (await Undamaged(archive, () => tar.GetNextEntryAsync(copyData: false, cancellationToken)) is { } entry)
        {
            if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile && entry.Name.StartsWith("package/", StringComparison.Ordinal))
            {
                yield return (entry.Name["package/".Length..], entry);
            }
        }
    }

    /// <summary>The content of a file of <see cref="Files"/>.</summary>
    /// <exception cref="SourceException">The archive is damaged.</exception>
    public static ValueTask<byte[]> ReadAll(string archive, TarEntry entry, CancellationToken cancellationToken) => Undamaged(archive, async ValueTask<byte[]> () =>
    {
        var bytes = new byte[entry.Length];
        await (entry.DataStream ?? Stream.Null).ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    });

    private static async ValueTask<T> Undamaged<T>(string archive, Func<ValueTask<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception damage) when (damage is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new SourceException($"'{archive}' is damaged: {damage.Message} Delete it to fetch the package again.", damage);
        }
    }
}
