using System.Buffers.Binary;
using System.Text;
using Dalle.Model.Safetensors;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    private string Path => _folder.File("x.safetensors");

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Write_OfKnownTensors_GivesTheFormatsBytes()
    {
        // Written by hand from the format's description: length, JSON, blanks to 8 bytes, then the data, widest elements first.
        const string Json = """{"__metadata__":{"format":"pt","step":"7"},"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"c":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]}}""";
        var header = Encoding.ASCII.GetBytes(Json.PadRight((Json.Length + 7) / 8 * 8));
        byte[] expected = [.. Prefix(header.Length), .. header, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1, 0, 1];

        SafetensorsFile.Write(
            Path,
            [("a", tensor(new float[,] { { 1, -2 } })), ("c", tensor(new[] { true, false, true })), ("b", tensor(3L))],
            new Dictionary<string, string> { ["step"] = "7", ["format"] = "pt" });

        Assert.Equal(expected, File.ReadAllBytes(Path));
        Assert.Equal(["x.safetensors"], _folder.Files());
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void Read_AfterWrite_ReturnsTheSameTensor(ScalarType type)
    {
        var transposed = arange(Number(0), Number(24), One, dtype: ScalarType.Float32).reshape(2, 3, 4).mul(Number(0.7)).to(type).transpose(0, 2);
        SafetensorsFile.Write(Path, [("t", transposed), ("empty", empty(0, 5, dtype: type))]);

        using var file = SafetensorsFile.Open(Path);

        Assert.True(file.Read("t").eq(transposed).all().item<bool>());
        Assert.Equal([0, 5], file.Read("empty").shape);
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void Write_InAnyOrder_GivesTheSameBytes()
    {
        var tensors = Enumerable.Range(0, 20).Select(i => ($"t{i}", full(i + 1, Number(i), dtype: i % 2 == 0 ? ScalarType.Float32 : ScalarType.Int64))).ToList();
        SafetensorsFile.Write(Path, tensors);
        var first = File.ReadAllBytes(Path);

        tensors.Reverse();
        SafetensorsFile.Write(Path, tensors);

        Assert.Equal(first, File.ReadAllBytes(Path));
    }

    [Fact]
    public void Write_ThatFails_LeavesTheOldFile()
    {
        SafetensorsFile.Write(Path, [("t", ones(2))]);
        var before = File.ReadAllBytes(Path);

        Assert.Throws<IOException>(() => DurableFile.Write(Path, stream =>
        {
            stream.WriteByte(1);
            throw new IOException("no space");
        }));

        Assert.Equal(before, File.ReadAllBytes(Path));
        Assert.Equal(["x.safetensors"], _folder.Files());
    }

    [Fact]
    public void Write_SameNameTwice_IsRefused() =>
        Assert.Contains("'t'", Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(Path, [("t", ones(2)), ("t", ones(2))])).Message, StringComparison.Ordinal);

    [Fact]
    public void Write_OfAComplexTensor_IsRefused() =>
        Assert.Throws<NotSupportedException>(() => SafetensorsFile.Write(Path, [("t", zeros(2, dtype: ScalarType.ComplexFloat32))]));

    [Fact]
    public void ReadInto_ViewOfALargerTensor_FillsThatPartOnly()
    {
        SafetensorsFile.Write(Path, [("t", arange(Number(0), Number(6), One, dtype: ScalarType.Float32).reshape(2, 3))]);
        var whole = full(10, Number(-1.0));

        using var file = SafetensorsFile.Open(Path);
        file.ReadInto("t", whole.narrow(0, 2, 6).view(2, 3));

        Assert.Equal([-1, -1, 0, 1, 2, 3, 4, 5, -1, -1], whole.data<float>().ToArray());
    }

    [Fact]
    public void ReadInto_OtherElementType_Converts()
    {
        SafetensorsFile.Write(Path, [("t", tensor(new[] { 1.5f, -2 }).to(ScalarType.Float16))]);
        var target = zeros(2);

        using var file = SafetensorsFile.Open(Path);
        file.ReadInto("t", target);

        Assert.Equal([1.5f, -2], target.data<float>().ToArray());
    }

    [Fact]
    public void ReadInto_OtherShape_SaysBoth()
    {
        SafetensorsFile.Write(Path, [("t", zeros(2, 3))]);

        using var file = SafetensorsFile.Open(Path);
        var error = Assert.Throws<SafetensorsException>(() => file.ReadInto("t", zeros(3, 2)));

        Assert.Contains("[3, 2]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Contains(Path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(1, 2)]
    [InlineData(3, 1)]
    public void ReadRowsInto_FillsTheTargetWithThoseRows(int firstRow, int rows)
    {
        SafetensorsFile.Write(Path, [("before", ones(3)), ("t", arange(Number(0), Number(24), One, dtype: ScalarType.Float32).reshape(4, 3, 2)), ("u", ones(3))]);
        var (target, converted) = (full([rows, 3, 2], Number(-1.0)), full([rows, 3, 2], Number(-1.0), dtype: ScalarType.Float64));

        using var file = SafetensorsFile.Open(Path);
        file.ReadRowsInto("t", target, firstRow);
        file.ReadRowsInto("t", converted, firstRow);

        Assert.Equal(Enumerable.Range(6 * firstRow, 6 * rows).Select(i => (float)i), target.data<float>().ToArray());
        Assert.Equal(Enumerable.Range(6 * firstRow, 6 * rows).Select(i => (double)i), converted.data<double>().ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void ReadRowsInto_NoRows_ReadsNothing(int firstRow)
    {
        SafetensorsFile.Write(Path, [("t", zeros(4, 3))]);

        using var file = SafetensorsFile.Open(Path);
        file.ReadRowsInto("t", zeros(0, 3), firstRow);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 5)]
    [InlineData(4, 1)]
    [InlineData(long.MaxValue, 2)]
    public void ReadRowsInto_RowsThatAreNotThere_IsRefused(long firstRow, int rows)
    {
        SafetensorsFile.Write(Path, [("t", zeros(4, 3))]);

        using var file = SafetensorsFile.Open(Path);
        var error = Assert.Throws<SafetensorsException>(() => file.ReadRowsInto("t", zeros(rows, 3), firstRow));

        Assert.Contains($"expected {rows} rows of tensor 't' from row {firstRow} on, got a tensor of 4 rows", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadRowsInto_OfAnotherShape_IsRefused()
    {
        SafetensorsFile.Write(Path, [("t", zeros(4, 3)), ("scalar", tensor(1f))]);

        using var file = SafetensorsFile.Open(Path);
        Tensor[] targets = [zeros(1, 4), zeros(1), zeros(1, 3, 1), zeros([])];

        Assert.All(targets, target => Assert.Throws<SafetensorsException>(() => file.ReadRowsInto("t", target, 0)));
        Assert.Throws<SafetensorsException>(() => file.ReadRowsInto("scalar", zeros(1), 0));
        Assert.Throws<ArgumentException>(() => file.ReadRowsInto("t", zeros(3, 2).t(), 0));
    }

    [Fact]
    public void ReadAllInto_OfAnotherNetwork_NamesEveryDifferenceAndTouchesNothing()
    {
        SafetensorsFile.Write(Path, [("same", ones(2)), ("extra", ones(2)), ("shape", ones(2)), ("type", ones(2))]);
        var same = zeros(2);

        using var file = SafetensorsFile.Open(Path);
        var error = Assert.Throws<SafetensorsException>(() =>
            file.ReadAllInto([("same", same), ("missing", zeros(1)), ("shape", zeros(3)), ("type", zeros(2, dtype: ScalarType.Int64))]));

        Assert.All(["'missing'", "'extra'", "'shape'", "'type'"], name => Assert.Contains(name, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain("'same'", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, same.sum().item<float>());
    }

    [Theory]
    [InlineData("not JSON", "{x", 0)]
    [InlineData("no object", "[1]", 0)]
    [InlineData("leading blank", " {}", 0)]
    [InlineData("cut off", """{"a":{"dtype":"F32","shape":[1]""", 4)]
    [InlineData("something after the end", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}{}""", 4)]
    [InlineData("deep nesting", """{"a":[[[[[[[[[[1]]]]]]]]]]}""", 4)]
    [InlineData("tensor is no object", """{"a":1}""", 4)]
    [InlineData("no name", """{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("duplicate tensor", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8)]
    [InlineData("duplicate tensor, escaped", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8)]
    [InlineData("duplicate field", """{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("duplicate metadata", """{"__metadata__":{},"__metadata__":{}}""", 0)]
    [InlineData("duplicate metadata key", """{"__metadata__":{"k":"1","k":"2"}}""", 0)]
    [InlineData("metadata is a number", """{"__metadata__":{"k":1}}""", 0)]
    [InlineData("unknown field", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}""", 4)]
    [InlineData("unknown type", """{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("no type", """{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("no shape", """{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4)]
    [InlineData("no offsets", """{"a":{"dtype":"F32","shape":[1]}}""", 4)]
    [InlineData("one offset", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}""", 4)]
    [InlineData("three offsets", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 4)]
    [InlineData("negative dimension", """{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("fractional dimension", """{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}""", 6)]
    [InlineData("huge number", """{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}""", 4)]
    [InlineData("product wraps to 4", """{"a":{"dtype":"F32","shape":[4611686018427387904,4,1],"data_offsets":[0,0]}}""", 0)]
    [InlineData("product overflows 128 bits", """{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}""", 4)]
    [InlineData("offsets reversed", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4)]
    [InlineData("longer than its shape", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}""", 8)]
    [InlineData("beyond the file", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 3)]
    [InlineData("bytes left over", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5)]
    [InlineData("hole", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12)]
    [InlineData("hole at the start", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8)]
    [InlineData("overlap", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8)]
    [InlineData("same place twice", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("gigabytes claimed", """{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}""", 4)]
    public void Open_BrokenHeader_IsRefusedByName(string what, string json, int dataBytes)
    {
        WriteRaw(Encoding.UTF8.GetBytes(json), new byte[dataBytes]);

        var error = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path).Dispose());

        Assert.True(error.Message.Contains(Path, StringComparison.Ordinal), what);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public void Open_FileShorterThanItsPrefix_IsRefused(int length)
    {
        File.WriteAllBytes(Path, new byte[length]);

        Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path).Dispose());
    }

    [Theory]
    [InlineData(3UL)]
    [InlineData(99_999_999UL)]
    [InlineData(1UL << 40)]
    [InlineData(ulong.MaxValue)]
    public void Open_HeaderLongerThanTheFile_AllocatesNothingForIt(ulong claimed)
    {
        var prefix = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, claimed);
        File.WriteAllBytes(Path, [.. prefix, (byte)'{', (byte)'}']);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path).Dispose());

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Open_NameOfManyKilobytes_IsRefused()
    {
        WriteRaw(Encoding.ASCII.GetBytes($$$"""{"{{{new string('a', 5000)}}}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"""), []);

        Assert.Contains("5000", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path).Dispose()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_AnyDamagedByteOrCut_IsRefusedOrStillConsistent()
    {
        SafetensorsFile.Write(Path, [("weight", ones(3, 2)), ("bias", zeros(3)), ("step", tensor(5L))], new Dictionary<string, string> { ["epoch"] = "2" });
        var whole = File.ReadAllBytes(Path);
        var headerEnd = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(whole);
        var random = new Random(1);
        for (var round = 0; round < 1000; round++)
        {
            var damaged = whole.ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
            {
                damaged[random.Next(headerEnd)] = (byte)random.Next(256);
            }

            Probe(damaged);
            Probe(whole[..random.Next(whole.Length)]);
        }

        void Probe(byte[] bytes)
        {
            File.WriteAllBytes(Path, bytes);
            try
            {
                using var scope = NewDisposeScope();
                using var file = SafetensorsFile.Open(Path);
                var dataBytes = file.Entries.Sum(e => file.Read(e.Name).bytes.Length);
                Assert.Equal(bytes.Length, 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes) + dataBytes);
            }
            catch (SafetensorsException)
            {
                // The other allowed outcome; any other exception fails the test.
            }
        }
    }

    private static byte[] Prefix(int length)
    {
        var prefix = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)length);
        return prefix;
    }

    private void WriteRaw(byte[] header, byte[] data) => File.WriteAllBytes(Path, [.. Prefix(header.Length), .. header, .. data]);
}
