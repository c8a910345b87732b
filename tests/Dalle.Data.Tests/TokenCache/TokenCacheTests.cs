using System.Buffers.Binary;
using Dalle.Data.Tests.Sources;
using Dalle.Data.TokenCache;

namespace Dalle.Data.Tests.TokenCache;

public sealed class TokenCacheTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string File => _folder["tokens.bin"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(8192, 2)]
    [InlineData(65_536, 2)]
    [InlineData(65_537, 4)]
    public void Read_InAnyOrder_GivesWhatWasAdded(int codebook, int tokenBytes)
    {
        long[] tokens = [0, 1, 2, codebook - 1, 7, 7, 5, 4, codebook / 2, 0, 0, 9];
        Write(new TokenCacheHeader(4, 3, codebook, "scenes-v1"), tokens[..3], tokens[3..9], tokens[9..]);
        using var cache = TokenCacheReader.Open(File);

        Assert.Equal(new TokenCacheHeader(4, 3, codebook, "scenes-v1"), cache.Header);
        Assert.Equal(512 + (12 * tokenBytes) + 8, new FileInfo(File).Length);
        foreach (var index in new[] { 2, 0, 3, 1 })
        {
            var read = new long[3];
            cache.Read(index, read);
            Assert.Equal(tokens[(index * 3)..((index * 3) + 3)], read);
        }
    }

    /// <summary>More than the writer converts at a time.</summary>
    [Theory]
    [InlineData(8192)]
    [InlineData(1 << 20)]
    public void Add_OfManySamplesAtOnce_GivesTheSameFileAsOneByOne(int codebook)
    {
        const int Count = 30_001, Length = 3;
        var header = new TokenCacheHeader(Count, Length, codebook, "x");
        long[] tokens = [.. Enumerable.Range(0, Count * Length).Select(i => i * 7919L % codebook)];
        Write(header, tokens);
        var atOnce = System.IO.File.ReadAllBytes(File);

        Write(header, [.. tokens.Chunk(Length)]);

        Assert.Equal(System.IO.File.ReadAllBytes(File), atOnce);
        using var cache = TokenCacheReader.Open(File);
        var last = new long[Length];
        cache.Read(Count - 1, last);
        Assert.Equal(tokens[^Length..], last);
    }

    [Fact]
    public void Read_OutsideTheCache_Throws()
    {
        Write(new TokenCacheHeader(1, 2, 10, "x"), [1, 2]);
        using var cache = TokenCacheReader.Open(File);

        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(1, new long[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(-1, new long[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(0, new long[3]));
    }

    [Fact]
    public void Open_OfAnEmptyCache_Works()
    {
        Write(new TokenCacheHeader(0, 2, 10, ""));
        using var cache = TokenCacheReader.Open(File);
        Assert.Equal(0, cache.Header.Count);
    }

    [Fact]
    public void Open_OfACutOffFile_IsRefusedAtEveryLength()
    {
        Write(new TokenCacheHeader(2, 2, 10, "x"), [1, 2, 3, 4]);
        var whole = System.IO.File.ReadAllBytes(File);
        for (var length = 0; length < whole.Length; length++)
        {
            System.IO.File.WriteAllBytes(File, whole[..length]);
            Refused();
        }
    }

    [Fact]
    public void Open_OfAFileWithAnyByteChanged_IsRefused()
    {
        Write(new TokenCacheHeader(2, 2, 10, "x"), [1, 2, 3, 4]);
        var whole = System.IO.File.ReadAllBytes(File);
        for (var at = 0; at < whole.Length; at++)
        {
            var damaged = (byte[])whole.Clone();
            damaged[at] ^= 0x80;
            System.IO.File.WriteAllBytes(File, damaged);
            Refused();
        }
    }

    [Fact]
    public void Open_OfAnotherKindOfFile_SaysSo()
    {
        _folder.Write("tokens.bin", new string('x', 4096));
        Assert.EndsWith("is not a token cache.", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_OfAnotherVersion_SaysWhich()
    {
        Write(new TokenCacheHeader(1, 2, 10, "x"), [1, 2]);
        var bytes = System.IO.File.ReadAllBytes(File);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), 7);
        System.IO.File.WriteAllBytes(File, bytes);
        Assert.Contains("of version 7; expected 1. Encode the dataset again.", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_OfNoFile_IsNotFound() => Assert.Throws<FileNotFoundException>(() => TokenCacheReader.Open(File));

    [Fact]
    public void Open_OfAFileWhoseWriterWasBrokenOff_IsRefused()
    {
        using (var stream = System.IO.File.Create(File))
        {
            new TokenCacheWriter(stream, new TokenCacheHeader(2, 2, 10, "x")).Add([1, 2, 3, 4]);
        }

        Assert.Contains("cut off or damaged", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void Add_OfWhatWasNotAnnounced_IsRefusedAndLeavesTheCacheWhole()
    {
        using (var stream = System.IO.File.Create(File))
        {
            var writer = new TokenCacheWriter(stream, new TokenCacheHeader(2, 2, 10, "x"));
            writer.Add([1, 2]);
            Assert.Throws<ArgumentException>(() => writer.Add([3]));
            Assert.Throws<ArgumentException>(() => writer.Add([3, 10]));
            Assert.Throws<ArgumentException>(() => writer.Add([3, -1]));
            Assert.Throws<ArgumentException>(() => writer.Add([3, 4, 5, 6]));
            Assert.Throws<InvalidOperationException>(writer.Complete);
            writer.Add([3, 4]);
            writer.Complete();
        }

        using var cache = TokenCacheReader.Open(File);
        var read = new long[2];
        cache.Read(1, read);
        Assert.Equal([3, 4], read);
    }

    [Fact]
    public void Header_ThatCannotBeWritten_IsRefused()
    {
        foreach (var header in new TokenCacheHeader[] { new(-1, 2, 10, "x"), new(1, 0, 10, "x"), new(1, 2, 0, "x"), new(1, 2, 10, new string('x', 481)) })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => new TokenCacheWriter(Stream.Null, header));
        }

        Write(new TokenCacheHeader(0, 2, 10, new string('x', 480)));
        using var cache = TokenCacheReader.Open(File);
        Assert.Equal(480, cache.Header.Fingerprint.Length);
    }

    private string Refused() => Assert.Throws<InvalidDataException>(() => TokenCacheReader.Open(File).Dispose()).Message;

    private void Write(TokenCacheHeader header, params long[][] batches)
    {
        using var stream = System.IO.File.Create(File);
        var writer = new TokenCacheWriter(stream, header);
        foreach (var batch in batches)
        {
            writer.Add(batch);
        }

        writer.Complete();
    }
}
