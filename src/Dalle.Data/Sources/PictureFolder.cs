using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>A folder that untrusted records may name picture files in, and nothing outside it.</summary>
internal sealed class PictureFolder(string root, int maxPictureBytes)
{
    private readonly string _root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));

    /// <summary>Reads the file at a relative path with '/' or the system's separators.</summary>
    /// <exception cref="PictureException">No such file, outside the folder, empty or too large.</exception>
    public async Task<byte[]> Read(string relativePath, CancellationToken cancellationToken)
    {
        try
        {
            return await BoundedFile.Read(Resolve(relativePath), maxPictureBytes, cancellationToken);
        }
        catch (Exception missing) when (missing is IOException or UnauthorizedAccessException)
        {
            throw new PictureException(RejectionReason.PictureMissing, missing.Message);
        }
    }

    internal string Resolve(string relativePath)
    {
        if (relativePath.Length is 0 or > 4096 || relativePath.Contains('\0') || Path.IsPathRooted(relativePath))
        {
            throw new PictureException(RejectionReason.RecordMalformed, "The picture's path is empty, absolute or not a path.");
        }
        var path = Path.GetFullPath(Path.Combine(_root, relativePath));
        return path.StartsWith(_root + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? path
            : throw new PictureException(RejectionReason.RecordMalformed, "The picture's path leads out of the picture folder.");
    }
}

/// <summary>Whole files, up to a size.</summary>
internal static class BoundedFile
{
    /// <exception cref="PictureException">The file is empty or has more than <paramref name="maxBytes"/>.</exception>
    public static async Task<byte[]> Read(string path, int maxBytes, CancellationToken cancellationToken)
    {
        // The length is asked before opening: a pipe or device has none, and opening one could wait for ever.
        var length = new FileInfo(path) is { Exists: true } file ? file.Length : throw new FileNotFoundException($"There is no file '{path}'.");
        return length switch
        {
            0 => throw new PictureException(RejectionReason.PictureEmpty, $"'{path}' has no bytes."),
            _ when length > maxBytes => throw new PictureException(RejectionReason.PictureTooLarge, $"'{path}' has {length:N0} bytes; at most {maxBytes:N0} are read."),
            _ => await File.ReadAllBytesAsync(path, cancellationToken),
        };
    }
}
