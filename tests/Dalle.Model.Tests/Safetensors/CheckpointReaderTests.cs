using Dalle.Model.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

/// <summary>Checkpoints of several files, written by several processes and read into other numbers of ordinals.</summary>
public sealed class CheckpointReaderTests : IDisposable
{
    private const string Stage = "Prior";
    private const string Errors = "errors-0.safetensors";

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly ArrayState _saved = ArrayState.Counted(41);
    private readonly ArrayState _restored = ArrayState.Zero();

    private string Folder => _folder.File("step-41");

    public void Dispose()
    {
        _scope.Dispose();
        _saved.Dispose();
        _restored.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(1, false, false)]
    [InlineData(2, false, false)]
    [InlineData(3, false, false)]
    [InlineData(3, false, true)]
    [InlineData(3, true, false)]
    [InlineData(3, true, true)]
    [InlineData(11, false, true)]
    public void Open_OfSomeOrdinals_ReadsIntoAnyOtherNumber_AndWhole(int written, bool lastHasAll, bool leaveOutEmpty)
    {
        _saved.Save(Folder, Stage, written, lastHasAll, leaveOutEmpty);

        Assert.All([1, 2, 3, 5, 11], ordinals =>
        {
            // Every process reads its own rows; here one after the other into the same arrays.
            using var restored = ArrayState.Zero();
            for (var ordinal = 0; ordinal < ordinals; ordinal++)
            {
                using var reader = Checkpoint.Open(Folder, Stage, verifyAll: ordinal % 2 == 0);
                Assert.Equal((Stage, 41, written), (reader.Stage, reader.Step, reader.Ordinals));
                reader.ReadAllInto(restored.Slices(ordinal, ordinals));
                restored.Step = reader.Step;
            }

            _saved.AssertSame(restored);
        });
        Checkpoint.Restore(Folder, Stage, _restored);
        _saved.AssertSame(_restored);
        Assert.True(_restored.WasRestored);
    }

    [Fact]
    public void Open_OfFilesWrittenAtTheSameTime_AndSealedByOne_ReadsThemAll()
    {
        var files = new CheckpointFile[4];
        Parallel.For(0, files.Length, ordinal => files[^(ordinal + 1)] = _saved.Write(Folder, ordinal, files.Length));
        Assert.False(File.Exists(Path.Combine(Folder, Checkpoint.ManifestFile)));
        Checkpoint.Seal(Folder, Stage, 41, files);

        Checkpoint.Restore(Folder, Stage, _restored);

        _saved.AssertSame(_restored);
    }

    [Fact]
    public void Seal_OfFilesInAnyOrder_GivesTheSameManifest()
    {
        var files = Enumerable.Range(0, 3).Select(ordinal => _saved.Write(Folder, ordinal, ordinals: 3)).ToArray();
        Checkpoint.Seal(Folder, Stage, 41, files);
        var manifest = File.ReadAllBytes(Path.Combine(Folder, Checkpoint.ManifestFile));

        Checkpoint.Seal(Folder, Stage, 41, [.. files.Reverse()]);

        Assert.Equal(manifest, File.ReadAllBytes(Path.Combine(Folder, Checkpoint.ManifestFile)));
    }

    [Fact]
    public void Save_OverACheckpointOfMoreOrdinals_TakesItsPlace()
    {
        using var old = ArrayState.Zero();
        old.Save(Folder, Stage, ordinals: 3);

        Checkpoint.Save(Folder, Stage, _saved);
        Checkpoint.Restore(Folder, Stage, _restored);

        _saved.AssertSame(_restored);
    }

    [Fact]
    public void ReadInto_SomeRows_ReadsOverTheBordersOfFiles()
    {
        _saved.Save(Folder, Stage, ordinals: 3);
        var (rows, whole, scalar) = (zeros(4, 3), zeros(7, 3), zeros([], dtype: ScalarType.Int64));

        using var reader = Checkpoint.Open(Folder, Stage);
        reader.ReadInto("parameters.weight", rows, firstRow: 1);
        reader.ReadInto("parameters.weight", whole);
        reader.ReadInto("scale", scalar);

        Assert.Equal(Enumerable.Range(4, 12).Select(i => (float)i), rows.data<float>().ToArray());
        Assert.Equal(Enumerable.Range(1, 21).Select(i => (float)i), whole.data<float>().ToArray());
        Assert.Equal(1, scalar.item<long>());
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(7, 1)]
    [InlineData(5, 3)]
    [InlineData(long.MaxValue, 1)]
    public void ReadInto_RowsThatAreNotThere_IsRefused(long firstRow, long rows) =>
        AssertRefused(reader => reader.ReadInto("parameters.weight", zeros(rows, 3), firstRow), $"'parameters.weight' has 7 rows instead of {rows} from row {firstRow} on");

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public void ReadInto_NoRows_ReadsNothing(long firstRow)
    {
        _saved.Save(Folder, Stage, ordinals: 3);

        using var reader = Checkpoint.Open(Folder, Stage);
        reader.ReadInto("parameters.weight", zeros(0, 3), firstRow);
    }

    [Fact]
    public void ReadInto_OfAnotherShapeTypeOrName_IsRefused()
    {
        AssertRefused(reader => reader.ReadInto("parameters.weight", zeros(2, 4), 0), "'parameters.weight' is [7, 3] instead of [any, 4]");
        AssertRefused(reader => reader.ReadInto("parameters.weight", zeros(2), 0), "'parameters.weight' is [7, 3] instead of [any]");
        AssertRefused(reader => reader.ReadInto("parameters.weight", zeros(2, 3)), "'parameters.weight' is [7, 3] instead of [2, 3]");
        AssertRefused(reader => reader.ReadInto("parameters.weight", zeros([])), "'parameters.weight' is [7, 3] instead of []");
        AssertRefused(reader => reader.ReadInto("scale", zeros(1, dtype: ScalarType.Int64)), "'scale' is [] instead of [1]");
        AssertRefused(reader => reader.ReadInto("scale", zeros(1, dtype: ScalarType.Int64), 0), "'scale' is [] instead of [any]");
        AssertRefused(reader => reader.ReadInto("plateau", zeros(4)), "'plateau' is Float64 instead of Float32");
        AssertRefused(reader => reader.ReadInto("other", zeros(4)), "'other' is missing");
    }

    [Fact]
    public void ReadInto_WhatNothingCouldBeReadInto_IsTheCallersFault()
    {
        _saved.Save(Folder, Stage, ordinals: 3);

        using var reader = Checkpoint.Open(Folder, Stage);

        Assert.Throws<ArgumentException>(() => reader.ReadInto("parameters.weight", zeros(2, 3), -1));
        Assert.Throws<ArgumentException>(() => reader.ReadInto("scale", zeros([], dtype: ScalarType.Int64), 0));
        Assert.Throws<ArgumentException>(() => reader.ReadInto("parameters.weight", zeros(3, 7).t()));
        Assert.Throws<ArgumentException>(() => reader.ReadAllInto([.. _restored.Slices(0, 1), .. _restored.Slices(0, 1)]));
    }

    [Fact]
    public void ReadAllInto_OfAnotherNetwork_NamesEveryDifferenceAndTouchesNothing()
    {
        _saved.Save(Folder, Stage, ordinals: 3);
        var targets = _restored.Slices(1, 2).Where(target => target.Name != "plateau").Select(target => target.Name switch
        {
            "parameters.weight" => target with { TotalRows = 8 },
            "parameters.kernel" => target with { Tensor = zeros(2, 8) },
            "optimizer.mean.weight" => target with { Tensor = zeros(4, 3, dtype: ScalarType.BFloat16) },
            _ => target,
        }).Append(new("parameters.more", zeros(1), 0));

        using var reader = Checkpoint.Open(Folder, Stage);
        var error = Assert.Throws<SafetensorsException>(() => reader.ReadAllInto(targets));

        Assert.Equal(Folder, error.Path);
        Assert.All(
            [
                "'parameters.weight' is [7, 3] instead of [8, 3]", "'parameters.kernel' is [5, 2, 2, 2] instead of [5, 8]", "'optimizer.mean.weight' is Int16 instead of BFloat16",
                "'parameters.more' is missing", "'plateau' is not expected",
            ],
            difference => Assert.Contains(difference, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain("'parameters.bias'", error.Message, StringComparison.Ordinal);
        _restored.AssertZero();
    }

    [Fact]
    public void Restore_WithoutTheLastOrdinal_IsRefused()
    {
        CheckpointFile[] files = [_saved.Write(Folder, 0, ordinals: 3), _saved.Write(Folder, 1, ordinals: 3)];
        Checkpoint.Seal(Folder, Stage, 41, files);

        AssertNotRestored(Folder, "'parameters.weight' is [4, 3] instead of [7, 3]");
    }

    [Fact]
    public void Open_OfSlicesThatDoNotFit_IsRefused()
    {
        AssertUnfit("expected rows of 't' like those of the ordinals before, Float32 [any, 3], got Float32 [2, 4]", ("t", zeros(2, 4)));
        AssertUnfit("got Float32 [2]", ("t", zeros(2)));
        AssertUnfit("got Float32 []", ("t", zeros([])));
        AssertUnfit("got Int64 [2, 3]", ("t", zeros(2, 3, dtype: ScalarType.Int64)));
        AssertUnfit("Int64 [], got Int64 [1]", ("scalar", zeros(1, dtype: ScalarType.Int64)));
        AssertUnfit("'scalar', which has no rows, in one state file", ("scalar", tensor(1L)));

        void AssertUnfit(string reason, params (string, Tensor)[] tensors)
        {
            Checkpoint.Seal(Folder, Stage, 41, [Write(0, ("t", zeros(2, 3)), ("scalar", tensor(1L))), Write(1, tensors)]);

            var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Open(Folder, Stage).Dispose());

            Assert.Equal(State(1), error.Path);
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Open_OfMoreRowsThan64BitsCount_IsRefused()
    {
        // Rows of no bytes: the format's rules let any number of them through.
        Checkpoint.Seal(Folder, Stage, 41, [.. Enumerable.Range(0, 2).Select(ordinal => Write(ordinal, ("t", zeros([1L << 62, 0], dtype: ScalarType.Byte)), ("u", zeros(1))))]);

        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Open(Folder, Stage).Dispose());

        Assert.Contains("fewer than 2^63 rows of 't'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("state-0.safetensors")]
    [InlineData("state-1.safetensors")]
    [InlineData("state-2.safetensors")]
    [InlineData(Errors)]
    public void Restore_OfAnyFileThatIsDamaged_IsRefused(string name)
    {
        var path = Path.Combine(Folder, name);
        AssertDamageIsRefused(() => File.Delete(path), "bytes, got no file");
        AssertDamageIsRefused(() => Resize(-1), "the file was cut off");
        AssertDamageIsRefused(() => Resize(1), "the file was cut off or replaced");
        AssertDamageIsRefused(() => Flip(0.1), "the file was altered");
        AssertDamageIsRefused(() => Flip(0.999), "the file was altered");

        void AssertDamageIsRefused(Action damage, string reason)
        {
            SaveWithErrors();
            damage();
            AssertNotRestored(path, reason);
        }

        void Resize(int by)
        {
            using var stream = new FileStream(path, FileMode.Open);
            stream.SetLength(stream.Length + by);
        }

        void Flip(double at)
        {
            var bytes = File.ReadAllBytes(path);
            bytes[(int)(bytes.Length * at)] ^= 1;
            File.WriteAllBytes(path, bytes);
        }
    }

    [Fact]
    public void Restore_OfAFileOfAnotherStep_IsRefused()
    {
        using var other = ArrayState.Counted(40);
        Checkpoint.Seal(Folder, Stage, 41, [_saved.Write(Folder, 0, ordinals: 2), other.Write(Folder, 1, ordinals: 2)]);

        AssertNotRestored(State(1), "expected a property 'step' of 41, got '40'");
    }

    [Fact]
    public void Restore_OfAnotherStage_IsRefused()
    {
        _saved.Save(Folder, "Encode", ordinals: 2);

        AssertNotRestored(Path.Combine(Folder, Checkpoint.ManifestFile), "expected a checkpoint of stage 'Prior', got one of 'Encode'");
    }

    [Fact]
    public void Open_WithoutVerifyingAll_VerifiesWhatIsReadFrom_BeforeAnyOfItIsRead()
    {
        _saved.Save(Folder, Stage, ordinals: 3);
        var bytes = File.ReadAllBytes(State(2));
        bytes[^1] ^= 1;
        File.WriteAllBytes(State(2), bytes);

        using var reader = Checkpoint.Open(Folder, Stage, verifyAll: false);
        var error = Assert.Throws<SafetensorsException>(() => reader.ReadAllInto(_restored.Slices(0, 1)));

        Assert.Equal(State(2), error.Path);
        Assert.Contains("altered", error.Message, StringComparison.Ordinal);
        _restored.AssertZero();
        reader.ReadAllInto(_restored.Slices(0, 3));
    }

    [Fact]
    public void Reader_WhoseFilesAreReplaced_ReadsThoseItVerified()
    {
        _saved.Save(Folder, Stage, ordinals: 2);

        using var reader = Checkpoint.Open(Folder, Stage);
        using var other = ArrayState.Zero();
        other.Save(Folder, Stage, ordinals: 2);
        reader.ReadAllInto(_restored.Slices(0, 1));
        _restored.Step = reader.Step;

        _saved.AssertSame(_restored);
    }

    [Fact]
    public void OpenFile_OfAnotherFile_ReadsIt()
    {
        SaveWithErrors();

        using var reader = Checkpoint.Open(Folder, Stage);
        using var file = reader.OpenFile(Errors);

        Assert.Equal([Errors], reader.OtherFiles);
        Assert.Equal([5, 6], file.Read("errors.weight").data<float>().ToArray());
    }

    [Theory]
    [InlineData("errors-1.safetensors")]
    [InlineData("state-0.safetensors")]
    [InlineData("../x")]
    public void OpenFile_OfANameThatIsNoOtherFile_IsRefused(string name)
    {
        SaveWithErrors();

        using var reader = Checkpoint.Open(Folder, Stage);
        var error = Assert.Throws<SafetensorsException>(() => reader.OpenFile(name));

        Assert.Contains($"expected a file '{name}' besides those of the state, got {Errors}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OpenFile_ThatWasAltered_IsRefused()
    {
        SaveWithErrors();
        var path = Path.Combine(Folder, Errors);
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);

        using var reader = Checkpoint.Open(Folder, Stage, verifyAll: false);
        var error = Assert.Throws<SafetensorsException>(() => reader.OpenFile(Errors));

        Assert.Equal(path, error.Path);
    }

    [Fact]
    public void SaveAndRead_LeaveNoTensorsBehind()
    {
        _saved.Save(Folder, Stage, ordinals: 3);
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        _saved.Save(Folder, Stage, ordinals: 3);
        Checkpoint.Restore(Folder, Stage, _restored);

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    private string State(int ordinal) => Path.Combine(Folder, Checkpoint.StateFile(ordinal));

    private CheckpointFile Write(int ordinal, params (string, Tensor)[] tensors) => Checkpoint.WriteFile(Folder, Checkpoint.StateFile(ordinal), 41, tensors);

    private void SaveWithErrors()
    {
        var states = Enumerable.Range(0, 3).Select(ordinal => _saved.Write(Folder, ordinal, ordinals: 3));
        Checkpoint.Seal(Folder, Stage, 41, [.. states, Checkpoint.WriteFile(Folder, Errors, 41, [("errors.weight", tensor([5f, 6f]))])]);
    }

    private void AssertRefused(Action<CheckpointReader> read, string reason)
    {
        _saved.Save(Folder, Stage, ordinals: 3);

        using var reader = Checkpoint.Open(Folder, Stage);
        var error = Assert.Throws<SafetensorsException>(() => read(reader));

        Assert.Equal(Folder, error.Path);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    private void AssertNotRestored(string path, string reason)
    {
        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Restore(Folder, Stage, _restored));

        Assert.Equal(path, error.Path);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal((0, false), (_restored.Step, _restored.WasRestored));
        _restored.AssertZero();
    }
}
