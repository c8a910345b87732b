using System.Buffers.Binary;
using System.Text;

namespace Dalle.Model.Native;

/// <summary>
/// The symbol versions that a 64-bit little-endian ELF library asks of the libraries it links to (section <c>.gnu.version_r</c>, Linux Standard
/// Base 5.0, chapter 10.7). A need marked weak does not stop the loader when the other library is older.
/// </summary>
internal static class ElfVersionNeeds
{
    private const uint VersionNeedSection = 0x6ffffffe;
    private const byte WeakFlag = 2;

    /// <summary>Marks every need of a version as weak.</summary>
    /// <param name="image">The whole file, changed in place.</param>
    /// <param name="version">The version, such as <c>GLIBCXX_3.4.32</c>.</param>
    /// <returns>How many needs were marked.</returns>
    /// <exception cref="BadImageFormatException">The file is not a 64-bit little-endian ELF file, or is cut short.</exception>
    public static int Weaken(Span<byte> image, string version)
    {
        if (image.Length < 64 || !image[..6].SequenceEqual("\u007fELF\u0002\u0001"u8))
        {
            throw new BadImageFormatException("Expected a 64-bit little-endian ELF file.");
        }

        var sections = Offset(image, 0x28);
        int sectionSize = U16(image, 0x3A), sectionCount = U16(image, 0x3C);
        var marked = 0;
        for (var i = 0; i < sectionCount; i++)
        {
            var section = sections + (i * sectionSize);
            if (U32(image, section + 4) != VersionNeedSection)
            {
                continue;
            }

            var names = Offset(image, sections + ((int)U32(image, section + 40) * sectionSize) + 24);
            marked += WeakenSection(image, Offset(image, section + 24), names, Encoding.ASCII.GetBytes(version));
        }

        return marked;
    }

    // A chain of libraries, each with a chain of versions; a link of 0 ends a chain, all others go forward.
    private static int WeakenSection(Span<byte> image, int library, int names, ReadOnlySpan<byte> version)
    {
        var marked = 0;
        for (uint next = 1; next != 0; library = checked(library + (int)next))
        {
            var need = checked(library + (int)U32(image, library + 8));
            for (var left = U16(image, library + 2); left > 0; left--)
            {
                if (Text(image, checked(names + (int)U32(image, need + 8))).SequenceEqual(version))
                {
                    Slice(image, need + 4, 2)[0] |= WeakFlag;
                    marked++;
                }

                need = checked(need + (int)U32(image, need + 12));
            }

            next = U32(image, library + 12);
        }

        return marked;
    }

    private static int U16(Span<byte> image, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(Slice(image, offset, 2));

    private static uint U32(Span<byte> image, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(Slice(image, offset, 4));

    private static int Offset(Span<byte> image, int at) =>
        BinaryPrimitives.ReadUInt64LittleEndian(Slice(image, at, 8)) is var value && value < (ulong)image.Length
            ? (int)value
            : throw new BadImageFormatException($"The file points to byte {value}, but has {image.Length}.");

    private static Span<byte> Text(Span<byte> image, int offset) =>
        Slice(image, offset, image.Length - offset) is var rest && rest.IndexOf((byte)0) is var length and >= 0
            ? rest[..length]
            : throw new BadImageFormatException($"The text at byte {offset} has no end.");

    private static Span<byte> Slice(Span<byte> image, int offset, int length) => offset >= 0 && length >= 0 && length <= image.Length - offset
        ? image.Slice(offset, length)
        : throw new BadImageFormatException($"The file points to bytes {offset}..{offset + (long)length}, but has {image.Length}.");
}
