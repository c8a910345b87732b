using Dalle.Data.Datasets;
using Dalle.Data.Filters;
using Dalle.Data.Pictures;
using Dalle.Data.Sources;
using Dalle.Data.Tests.Pictures;
using Dalle.Data.Tests.Sources;
using SkiaSharp;

namespace Dalle.Data.Tests.Datasets;

public sealed class DatasetImporterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Target => _folder["dataset"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Import_ThenOpen_GivesEverySampleBack()
    {
        var samples = Numbered(60);
        var manifest = await DatasetImporter.Import(new ListSource(samples), Target, new ImportOptions { HeldOutShare = 0.2, ShardBytes = 4096 }, cancellationToken: Cancellation);
        using var dataset = ShardDataset.Open(Target);

        Assert.Equal(60, dataset.Count);
        Assert.InRange(dataset.TrainingCount, 35, 58);
        Assert.True(manifest.Training.Shards.Count > 2, "Several shards.");
        Assert.Equal(manifest.Fingerprint, dataset.Fingerprint);
        Assert.Equal(samples.Select(sample => sample.Id).Order(), Enumerable.Range(0, 60).Select(dataset.GetId).Order());
        foreach (var index in Enumerable.Range(0, 60).Reverse())
        {
            var sample = samples.Single(sample => sample.Id == dataset.GetId(index));
            Assert.Equal(sample.Captions, dataset.GetCaptions(index));
            Assert.Equal(sample.EncodedPicture.ToArray(), dataset.ReadEncodedPicture(index));
            Assert.Equal(PictureDecoder.Decode(sample.EncodedPicture.Span).Rgb, dataset.ReadPicture(index).Rgb);
            Assert.Equal((dataset.ReadPicture(index).Width, dataset.ReadPicture(index).Height), dataset.GetPictureSize(index));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => dataset.GetId(60));
        Assert.Throws<ArgumentOutOfRangeException>(() => dataset.GetId(-1));
    }

    [Fact]
    public async Task Import_Twice_GivesTheSameBytes()
    {
        await DatasetImporter.Import(new ListSource(Numbered(20)), Target, cancellationToken: Cancellation);
        await DatasetImporter.Import(new ListSource(Numbered(20)), _folder["again"], cancellationToken: Cancellation);
        var changed = await DatasetImporter.Import(new ListSource([.. Numbered(19), Numbered(20)[19] with { Captions = ["other"] }]), _folder["other"], cancellationToken: Cancellation);

        var files = Directory.GetFiles(Target).Select(Path.GetFileName).Order().ToArray();
        Assert.Contains("manifest.json", files);
        Assert.All(files, file => Assert.Equal(File.ReadAllBytes(Path.Combine(Target, file!)), File.ReadAllBytes(Path.Combine(_folder["again"], file!))));
        Assert.NotEqual(DatasetManifest.Load(Target).Fingerprint, changed.Fingerprint);
    }

    [Fact]
    public async Task Import_BadSamples_AreCountedByReason()
    {
        var whole = Fixture.Encode(Fixture.Draw(300, 200), SKEncodedImageFormat.Jpeg);
        Sample[] bad =
        [
            new("truncated", ["a cat"], whole.AsMemory(0, whole.Length / 2)), new("html", ["a cat"], "<html>"u8.ToArray()), new("empty", ["a cat"], default),
            new("long", ["a cat"], Fixture.Encode(Fixture.Draw(100, 10), SKEncodedImageFormat.Png)), new("date", ["photographed on 3 May 2004", "IMG_1.jpg"], whole),
            new("short", ["x"], whole), new("large", ["a cat"], Fixture.Encode(Fixture.Draw(500, 400), SKEncodedImageFormat.Png)),
            new("german", ["ein Hund in dem Schnee"], whole), new("none", [], whole), new("good", ["3 May 2004", "a cat"], whole), new("repeat", ["a dog"], whole),
        ];
        var options = new ImportOptions { Filters = new SampleFilters { EnglishOnly = true }, PictureLimits = new PictureLimits { MaxPixels = 100_000 } };
        var manifest = await DatasetImporter.Import(new ListSource([.. bad, .. Numbered(3)]), Target, options, cancellationToken: Cancellation);

        Assert.Equal(
            new Dictionary<RejectionReason, string>
            {
                [RejectionReason.PictureCorrupt] = "truncated", [RejectionReason.PictureUnsupported] = "html", [RejectionReason.PictureEmpty] = "empty",
                [RejectionReason.AspectRatio] = "long", [RejectionReason.CaptionBoilerplate] = "date", [RejectionReason.CaptionTooShort] = "short",
                [RejectionReason.PictureTooLarge] = "large", [RejectionReason.CaptionLanguage] = "german", [RejectionReason.CaptionMissing] = "none",
                [RejectionReason.PictureRepeated] = "repeat",
            }.OrderBy(reason => reason.Key),
            DatasetManifest.Load(Target).Rejected.Select(reason => KeyValuePair.Create(reason.Key, Assert.Single(reason.Value.Examples))).OrderBy(reason => reason.Key));
        Assert.Equal(4, manifest.Training.Samples + manifest.HeldOut.Samples);
        Assert.Equal(1, manifest.DroppedCaptions);
        Assert.Contains("\"PictureCorrupt\"", File.ReadAllText(Path.Combine(Target, "manifest.json")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_Split_KeepsGroupsTogetherAndObeysTheSource()
    {
        var samples = Numbered(300).Select((sample, i) => sample with { Group = $"group {i / 3}", HeldOut = i < 3 ? true : i < 6 ? false : null });
        await DatasetImporter.Import(new ListSource([.. samples]), Target, new ImportOptions { HeldOutShare = 0.3 }, cancellationToken: Cancellation);
        using var dataset = ShardDataset.Open(Target);

        var heldOut = Enumerable.Range(dataset.TrainingCount, dataset.Count - dataset.TrainingCount).Select(i => int.Parse(dataset.GetId(i).AsSpan(3), null) / 3).GroupBy(g => g).ToArray();
        Assert.All(heldOut, group => Assert.Equal(3, group.Count()));
        Assert.InRange(heldOut.Length, 15, 45);
        Assert.Contains(heldOut, group => group.Key == 0);
        Assert.DoesNotContain(heldOut, group => group.Key == 1);
    }

    [Fact]
    public async Task Import_Failed_LeavesNothingAndCanBeRepeated()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => DatasetImporter.Import(new ListSource(Numbered(5)) { Fault = new InvalidOperationException() }, Target, cancellationToken: Cancellation));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));

        Directory.CreateDirectory(Target + ".importing");
        File.WriteAllText(Path.Combine(Target + ".importing", "train-00000.tar"), "left by a crash");
        await DatasetImporter.Import(new ListSource(Numbered(5)), Target, cancellationToken: Cancellation);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Import_IntoWhatExists_IsRefusedUnlessADatasetMayBeReplaced()
    {
        await DatasetImporter.Import(new ListSource(Numbered(5)), Target, cancellationToken: Cancellation);
        _folder.Write("precious/letter.txt", "Dear");

        await Assert.ThrowsAsync<SourceException>(() => DatasetImporter.Import(new ListSource(Numbered(6)), Target, cancellationToken: Cancellation));
        await Assert.ThrowsAsync<SourceException>(() => DatasetImporter.Import(new ListSource(Numbered(6)), _folder["precious"], new ImportOptions { Replace = true }, cancellationToken: Cancellation));
        await DatasetImporter.Import(new ListSource(Numbered(6)), Target, new ImportOptions { Replace = true }, cancellationToken: Cancellation);

        using var dataset = Dataset.Open(Target);
        Assert.Equal(6, dataset.Count);
        Assert.True(File.Exists(_folder["precious/letter.txt"]));
    }

    [Fact]
    public async Task Import_NothingUsable_SaysWhy()
    {
        var error = await Assert.ThrowsAsync<SourceException>(() => DatasetImporter.Import(new ListSource([new("a", ["a cat"], "GIF"u8.ToArray())]), Target, cancellationToken: Cancellation));
        Assert.Contains("PictureUnsupported 1 (such as 'a')", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public async Task Import_ThatHoldsEverythingOut_SaysSo()
    {
        var samples = Numbered(3).Select(sample => sample with { HeldOut = true });
        var error = await Assert.ThrowsAsync<SourceException>(() => DatasetImporter.Import(new ListSource([.. samples]), Target, cancellationToken: Cancellation));
        Assert.Equal("All 3 usable samples of a list would be held out, which leaves nothing to train on: choose a smaller share.", error.Message);
    }

    [Fact]
    public async Task Import_OfItsOwnShards_GivesTheSameSamples()
    {
        await DatasetImporter.Import(new ListSource(Numbered(12)), Target, cancellationToken: Cancellation);
        var (samples, rejected) = await SampleSources.Open(Target).ReadAll();
        Assert.Empty(rejected);
        Assert.Equal(Numbered(12).Select(sample => sample.Captions[1]).Order(), samples.Select(sample => sample.Captions[1]).Order());
    }

    [Fact]
    public async Task ReadPicture_ManyThreadsAndASmallCache_AreRight()
    {
        await DatasetImporter.Import(new ListSource(Numbered(40)), Target, cancellationToken: Cancellation);
        using var dataset = ShardDataset.Open(Target, new ShardDatasetOptions { CacheBytes = 10 * 24 * 16 * 3 });
        var first = Enumerable.Range(0, 40).Select(i => dataset.ReadPicture(i).Rgb.ToArray()).ToArray();

        Parallel.For(0, 2000, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Cancellation }, i => Assert.Equal(first[i * 7 % 40], dataset.ReadPicture(i * 7 % 40).Rgb));
        Assert.Equal(10, Enumerable.Range(0, 40).Count(i => ReferenceEquals(dataset.ReadPicture(i), dataset.ReadPicture(i))));
    }

    [Theory]
    [InlineData("manifest.json")]
    [InlineData("train.index")]
    [InlineData("train-00000.tar")]
    public async Task Open_DamagedOrMissingFile_SaysWhich(string file)
    {
        await DatasetImporter.Import(new ListSource(Numbered(5)), Target, cancellationToken: Cancellation);
        var path = Path.Combine(Target, file);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^3]);
        Assert.Contains(file, Assert.Throws<SourceException>(() => ShardDataset.Open(Target)).Message, StringComparison.Ordinal);
        File.Delete(path);
        Assert.Contains(file, Assert.Throws<SourceException>(() => ShardDataset.Open(Target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_OfAChangedShard_NamesIt_WhicheverByteChanged()
    {
        await DatasetImporter.Import(new ListSource(Numbered(2)), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        var shard = Path.Combine(Target, "train-00000.tar");
        var whole = File.ReadAllBytes(shard);
        using var dataset = ShardDataset.Open(Target);
        var index = File.ReadAllBytes(Path.Combine(Target, "train.index"));
        var second = ShardLocation.Read(index.AsSpan(ShardLocation.Bytes));

        foreach (var (piece, read) in new (ShardPiece, Action)[] { (second.Picture, () => dataset.ReadPicture(1)), (second.Record, () => dataset.GetCaptions(1)) })
        {
            for (var at = 0; at < piece.Length; at++)
            {
                var changed = (byte[])whole.Clone();
                changed[piece.Offset + at] ^= 1;
                File.WriteAllBytes(shard, changed);
                var error = Assert.Throws<InvalidDataException>(read);
                Assert.Contains($"'{shard}' has changed since it was imported: sample 1 ", error.Message, StringComparison.Ordinal);
            }
        }

        Assert.Equal("caption 0", dataset.GetCaptions(0)[0]);
    }

    [Fact]
    public async Task Read_OfAShardCutOffWhileItIsOpen_NamesIt()
    {
        await DatasetImporter.Import(new ListSource(Numbered(1)), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        using var dataset = ShardDataset.Open(Target);
        File.WriteAllBytes(Path.Combine(Target, "train-00000.tar"), new byte[600]);
        Assert.Contains("train-00000.tar' has changed", Assert.Throws<InvalidDataException>(() => dataset.GetId(0)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OfAnotherLayoutVersion_SaysSo()
    {
        await DatasetImporter.Import(new ListSource(Numbered(1)), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        var manifest = Path.Combine(Target, "manifest.json");
        File.WriteAllText(manifest, File.ReadAllText(manifest).Replace("\"version\": 2", "\"version\": 9", StringComparison.Ordinal));
        Assert.Contains("layout version 9; this program reads version 2", Assert.Throws<SourceException>(() => Dataset.Open(Target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OfAManifestThatNamesAFileOutside_IsRefused()
    {
        await DatasetImporter.Import(new ListSource(Numbered(1)), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        var manifest = Path.Combine(Target, "manifest.json");
        File.WriteAllText(manifest, File.ReadAllText(manifest).Replace("train-00000.tar", "../secret.tar", StringComparison.Ordinal));
        Assert.Contains("outside the folder: '../secret.tar'", Assert.Throws<SourceException>(() => Dataset.Open(Target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_Cancelled_LeavesNothing()
    {
        using var cancellation = new CancellationTokenSource();
        var progress = new Reaction(report => (report.Accepted == 64 ? cancellation : null)?.Cancel());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DatasetImporter.Import(new ListSource(Numbered(500)), Target, null, progress, cancellation.Token));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Import_OfAtMostSoManySamples_TakesTheFirst()
    {
        var reports = new List<ImportProgress>();
        await DatasetImporter.Import(new ListSource(Numbered(100)), Target, new ImportOptions { MaxSamples = 70, HeldOutShare = 0 }, new Reaction(reports.Add), Cancellation);
        using var dataset = ShardDataset.Open(Target);

        Assert.Equal(70, dataset.Count);
        Assert.Equal("id-69", dataset.GetId(69));
        Assert.Equal([64L, 70L], reports.Select(report => report.Accepted));
    }

    [Fact]
    public void Open_ByName_FindsScenesOrSaysWhatToDo()
    {
        using var scenes = Dataset.Open("scenes");
        Assert.True(scenes.Count > 1000);
        Assert.Contains("Import it first", Assert.Throws<SourceException>(() => Dataset.Open(_folder.Path)).Message, StringComparison.Ordinal);
        Assert.Contains("Import it first", Assert.Throws<SourceException>(() => Dataset.Open("emoji")).Message, StringComparison.Ordinal);
        Assert.Contains("no dataset 'nowhere'", Assert.Throws<SourceException>(() => Dataset.Open("nowhere")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Report_CountsAndDraws()
    {
        await DatasetImporter.Import(new ListSource(Numbered(10)), Target, cancellationToken: Cancellation);
        var report = DatasetReport.Of(Target);

        Assert.Equal(10, report.Manifest.Training.Samples + report.Manifest.HeldOut.Samples);
        Assert.Equal(20, report.CaptionWords.Sum(bar => bar.Count));
        Assert.Equal(new HistogramBar("2 to <3", 10), report.CaptionWords[1]);
        Assert.Equal(10, report.AspectRatios.Single(bar => bar.Label == "1.5 to <2").Count);
        Assert.Equal(10, report.ShorterSides.Single(bar => bar.Label == "0 to <32").Count);
        using var dataset = Dataset.Open(Target);
        Assert.True(DatasetReport.DrawContactSheet(dataset, 4).Width > 200);
    }

    [Fact]
    public async Task Report_OfEveryKindOfCaptionAndPicture_PutsThemIntoTheirBars()
    {
        string[] captions = ["one", "one two three four", "one two three four five", string.Join(' ', Enumerable.Repeat("word", 70))];
        (int Width, int Height)[] sizes = [(20, 40), (33, 50), (64, 64), (200, 101)];
        var samples = captions.Zip(sizes).Select((pair, i) => new Sample($"{i}", [pair.First], PngEncoder.Encode(Fixture.Draw(pair.Second.Width, pair.Second.Height))));
        await DatasetImporter.Import(new ListSource([.. samples]), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        var report = DatasetReport.Of(Target);

        Assert.Equal(["1 to <2", "4 to <6", "64 and more"], Filled(report.CaptionWords));
        Assert.Equal([1, 2, 1], report.CaptionWords.Where(bar => bar.Count > 0).Select(bar => bar.Count));
        Assert.Equal(["0.5 to <0.67", "0.95 to <1.05", "1.5 to <2"], Filled(report.AspectRatios));
        Assert.Equal([2, 1, 1], report.AspectRatios.Where(bar => bar.Count > 0).Select(bar => bar.Count));
        Assert.Equal(["0 to <32", "32 to <64", "64 to <128"], Filled(report.ShorterSides));
        Assert.Equal(new FileInfo(Path.Combine(Target, "train-00000.tar")).Length, report.Bytes);

        static IEnumerable<string> Filled(IEnumerable<HistogramBar> bars) => bars.Where(bar => bar.Count > 0).Select(bar => bar.Label);
    }

    [Fact]
    public async Task DrawContactSheet_OfFewer_TakesThemFromAllOver()
    {
        var samples = Enumerable.Range(0, 10).Select(i => new Sample($"{i}", ["a colour"], PngEncoder.Encode(new Picture(40, 40, [.. Enumerable.Repeat((byte)(i * 20), 40 * 40 * 3)]))));
        await DatasetImporter.Import(new ListSource([.. samples]), Target, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Cancellation);
        using var dataset = Dataset.Open(Target);
        var sheet = DatasetReport.DrawContactSheet(dataset, 5, new ContactSheetLayout { Columns = 5, CellSide = 10, Gap = 0, CaptionLines = 0 });

        Assert.Equal((50, 13), (sheet.Width, sheet.Height));
        Assert.Equal([0, 40, 80, 120, 160], Enumerable.Range(0, 5).Select(i => (int)sheet.At((10 * i) + 5, 5).R));
    }

    /// <summary>Pictures that differ in one pixel, each with two captions.</summary>
    private static Sample[] Numbered(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        var picture = Fixture.Draw();
        picture.Rgb[0] = (byte)i;
        picture.Rgb[1] = (byte)(i >> 8);
        return new Sample($"id-{i}", [$"caption {i}", $"the number {i}"], PngEncoder.Encode(picture));
    })];

    /// <summary>Does something on the importer's own thread.</summary>
    private sealed class Reaction(Action<ImportProgress> react) : IProgress<ImportProgress>
    {
        public void Report(ImportProgress value) => react(value);
    }

    private sealed class ListSource(IReadOnlyList<Sample> samples) : ISampleSource
    {
        public Exception? Fault { get; init; }

        public string Description => "a list";

        public string? Licence => "free";

        public async IAsyncEnumerable<Sample> Read(
            Action<string, RejectionReason> rejected, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            foreach (var sample in samples)
            {
                await Task.Yield();
                yield return sample;
            }
            if (Fault is not null)
            {
                throw Fault;
            }
        }
    }
}
