using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace Dalle.Data.Testing;

/// <summary>The two npm packages of the emoji source in small, as the npm client would have left them.</summary>
internal static class EmojiPackages
{
    public const string Artwork = "emoji-datasource-google-16.0.0.tgz";
    public const string Keywords = "emojilib-4.0.3.tgz";

    private const string Names = """
        [{"name":"RUNNER","unified":"1F3C3","image":"1f3c3.png","short_names":["runner"],"category":"People & Body"},
         {"name":"RED HEART","unified":"2764-FE0F","image":"2764-fe0f.png","short_names":["heart"],"category":"Smileys & Emotion"}]
        """;

    /// <summary>Writes both into a folder.</summary>
    /// <param name="folder">The package folder.</param>
    /// <param name="runner">PNG of the runner.</param>
    /// <param name="heart">PNG of the heart.</param>
    public static void Write(string folder, byte[] runner, byte[] heart)
    {
        Directory.CreateDirectory(folder);
        WriteArchive(
            Path.Combine(folder, Artwork),
            ("package/emoji.json", Encoding.UTF8.GetBytes(Names)),
            ("package/img/google/64/1f3c3.png", runner),
            ("package/img/google/64/2764-fe0f.png", heart),
            ("package/img/google/64/ffff.png", heart),
            ("package/img/google/sheets/64.png", heart),
            ("elsewhere/img/google/64/1f3c3.png", heart));
        WriteArchive(Path.Combine(folder, Keywords), ("package/dist/emoji-en-US.json", """{"\ud83c\udfc3":["person_running","move"]}"""u8.ToArray()));
    }

    public static void WriteArchive(string path, params (string Name, byte[] Content)[] files)
    {
        using var tar = new TarWriter(new GZipStream(File.Create(path), CompressionLevel.Fastest));
        foreach (var (name, content) in files)
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
        }
    }
}
