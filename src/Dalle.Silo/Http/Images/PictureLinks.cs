using System.Globalization;
using System.Security.Cryptography;
using Dalle.Data.Pictures;
using Dalle.Workers.Artifacts;

namespace Dalle.Silo.Http.Images;

/// <summary>
/// Finished pictures that are fetched by their addresses: files in the artifact store, so that any silo finds them, under names that nobody can guess and
/// that say when they expire.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class PictureLinks(ArtifactStore store, TimeProvider clock)
{
    /// <summary>The route of an address, before the name.</summary>
    public const string Route = "/v1/images/files";

    private const string Folder = "pictures";
    private const int KeyBytes = 20;

    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>Writes a picture down.</summary>
    /// <returns>Its name.</returns>
    public string Keep(ReadOnlyMemory<byte> file, PictureFormat format)
    {
        var expires = clock.GetUtcNow().Add(Lifetime).ToUnixTimeSeconds();
        var name = FormattableString.Invariant($"{expires}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(KeyBytes))}{format.Extension()}");
        DeleteExpired();
        store.Write(Key(expires, name), stream => stream.Write(file.Span));
        return name;
    }

    /// <summary>The picture of a name; null if there is none, or not any more.</summary>
    public (Stream File, PictureFormat Format)? Find(string name)
    {
        // Nothing of the name reaches the file system but numbers that were read out of it.
        if (name.Split('-', '.') is not [var seconds, var key, var extension]
            || !long.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out var expires)
            || key.Length != 2 * KeyBytes || !key.All(char.IsAsciiHexDigitLower)
            || FormatOf(extension) is not { } format
            || expires <= clock.GetUtcNow().ToUnixTimeSeconds())
        {
            return null;
        }

        try
        {
            return (store.Open(Key(expires, FormattableString.Invariant($"{expires}-{key}{format.Extension()}"))), format);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Files that expire within the same hour lie in a folder, which goes with the hour.</summary>
    private static string Key(long expires, string name) => FormattableString.Invariant($"{Folder}/{Hour(expires)}/{name}");

    private static long Hour(long seconds) => seconds / 3600;

    private static PictureFormat? FormatOf(string extension) =>
        new[] { PictureFormat.Png, PictureFormat.Jpeg, PictureFormat.WebP }.Cast<PictureFormat?>().FirstOrDefault(format => format!.Value.Extension() == $".{extension}");

    private void DeleteExpired()
    {
        var hour = Hour(clock.GetUtcNow().ToUnixTimeSeconds());
        foreach (var folder in store.ListFolders(Folder))
        {
            if (long.TryParse(folder.AsSpan(Folder.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var own) && own < hour)
            {
                try
                {
                    store.DeleteFolder(folder);
                }
                catch (IOException)
                {
                    // Another silo is at it.
                }
            }
        }
    }
}
