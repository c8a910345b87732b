using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Data.Scenes;
using Dalle.Data.Sources;
using Dalle.Data.TokenCache;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

/// <summary>An imported dataset some of whose bytes have changed since.</summary>
public sealed class DamagedSamplesTests(WorkerCluster cluster) : IClassFixture<WorkerCluster>
{
    private const int Samples = 40;
    private const int Damaged = 3;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_OnADatasetWithADamagedPicture_TrainsToItsEnd_AndReportsTheSample()
    {
        var folder = await Import("damaged");
        Damage(folder, "train", new SceneDataset().ReadPicture(Damaged));
        var reports = new List<WorkerReport>();
        foreach (var (epoch, stage) in TrainingStages.InOrder.Index())
        {
            reports.AddRange(await cluster.Run("damaged", cluster.Lease(stage, epoch, folder), null, Token));
            Assert.IsType<DoneReport>(reports[^1]);
        }

        var replaced = reports.OfType<ProgressReport>().Select(report => report.Event).OfType<SampleReplaced>().ToArray();
        Assert.Equal([TrainingStage.DiscreteVae, TrainingStage.Encode], replaced.Select(item => item.Stage));
        var (damaged, standIn) = (Assert.Single(replaced.Select(item => item.Sample).Distinct()), Assert.Single(replaced.Select(item => item.StandIn).Distinct()));
        Assert.Equal(damaged + 1, standIn);
        Assert.Contains("has changed since it was imported", replaced[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Job_OnADatasetWithoutAReadablePicture_FailsWithTheReason()
    {
        var folder = await Import("ruined");
        for (var i = 0; i < Samples; i++)
        {
            Damage(folder, "train", new SceneDataset().ReadPicture(i));
        }

        var report = Assert.IsType<FailedReport>((await cluster.Run("ruined", cluster.Lease(TrainingStage.Prepare, 1, folder), null, Token))[^1]);

        Assert.Contains($"None of {Samples} samples can be read.", report.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void StandIn_IsOneSample_ForPictureAndCaptions_AndStaysOnItsSideOfTheSplit()
    {
        using var readable = new ReadableDataset(new Broken(training: 3, heldOut: 2, broken: [1, 2, 4]), new Dictionary<int, int>(), (_, _, _) => { });

        Assert.Equal([0, 0, 0, 3, 3], Enumerable.Range(0, 5).Select(index => (int)readable.ReadPicture(index).Rgb[0]));
        Assert.Equal(["0", "0", "0", "3", "3"], Enumerable.Range(0, 5).Select(index => readable.GetCaptions(index)[0]));
        Assert.Equal(new Dictionary<int, int> { [1] = 0, [2] = 0, [4] = 3 }, readable.StandIns);
    }

    [Fact]
    public void StandIn_IsToldOnce_AndAKnownOneNotAtAll()
    {
        var told = new List<string>();
        using var readable = new ReadableDataset(
            new Broken(training: 4, heldOut: 0, broken: [1, 2]), new Dictionary<int, int> { [1] = 3 }, (sample, standIn, reason) => told.Add($"{sample} by {standIn}: {reason}"));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal((3, 3), (readable.ReadPicture(1).Rgb[0], readable.ReadPicture(2).Rgb[0]));
        }

        Assert.Equal(["2 by 3: 2 is broken"], told);
    }

    [Fact]
    public async Task Encode_OfWhatIsEncoded_UsesTheTokensAgain_AndNotThoseOfAnotherEncoder()
    {
        var folder = await Import("encoded");
        const string Job = "encoded";
        foreach (var stage in new[] { TrainingStage.Tokenizer, TrainingStage.DiscreteVae, TrainingStage.Encode })
        {
            await cluster.Run(Job, cluster.Lease(stage, 1, folder), null, Token);
        }

        var tokens = cluster.Store.PathOf($"jobs/{Job}/tokens.bin");
        var encoded = await File.ReadAllBytesAsync(tokens, Token);
        var written = File.GetLastWriteTimeUtc(tokens).AddDays(-1);
        File.SetLastWriteTimeUtc(tokens, written);

        await cluster.Run(Job, cluster.Lease(TrainingStage.Encode, 2, folder), null, Token);
        Assert.Equal(written, File.GetLastWriteTimeUtc(tokens));

        // One that is cut off is made again, to the same bytes.
        await File.WriteAllBytesAsync(tokens, encoded[..^9], Token);
        await cluster.Run(Job, cluster.Lease(TrainingStage.Encode, 3, folder), null, Token);
        Assert.Equal(encoded, await File.ReadAllBytesAsync(tokens, Token));

        // Another encoder: its pictures are encoded anew, and the prior takes no tokens but its own.
        var other = cluster.Lease(TrainingStage.DiscreteVae, 4, folder);
        await cluster.Run(Job, other with { Spec = other.Spec with { DiscreteVaeUpdates = 10 } }, null, Token);
        var refused = Assert.IsType<FailedReport>((await cluster.Run(Job, cluster.Lease(TrainingStage.Prior, 5, folder), null, Token))[^1]);
        await cluster.Run(Job, cluster.Lease(TrainingStage.Encode, 6, folder), null, Token);
        var trained = await cluster.Run(Job, cluster.Lease(TrainingStage.Prior, 7, folder), null, Token);

        Assert.Contains("the job's encoder has changed", refused.Reason, StringComparison.Ordinal);
        using (var cache = TokenCacheReader.Open(tokens))
        {
            Assert.Equal(Samples, cache.Header.Count);
        }

        Assert.Equal(new DoneReport(), trained[^1]);
    }

    /// <summary>The first scenes as an imported dataset, nothing held out.</summary>
    private async Task<string> Import(string name)
    {
        var folder = Path.Combine(cluster.Folder, "datasets", name);
        await DatasetImporter.Import(new Scenes(), folder, new ImportOptions { HeldOutShare = 0 }, cancellationToken: Token);
        return folder;
    }

    /// <summary>Changes a byte in the middle of a picture's file within the shards.</summary>
    private static void Damage(string folder, string part, Picture picture)
    {
        var png = PngEncoder.Encode(picture);
        foreach (var shard in Directory.GetFiles(folder, $"{part}*.tar"))
        {
            var bytes = File.ReadAllBytes(shard);
            if (bytes.AsSpan().IndexOf(png) is var at and >= 0)
            {
                bytes[at + (png.Length / 2)] ^= 0xFF;
                File.WriteAllBytes(shard, bytes);
                return;
            }
        }

        throw new InvalidOperationException($"No shard of '{folder}' has the picture.");
    }

    private sealed class Scenes : ISampleSource
    {
        public string Description => "scenes";

        public string? Licence => null;

        public async IAsyncEnumerable<Sample> Read(
            Action<string, RejectionReason> rejected, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            using var scenes = new SceneDataset();
            for (var i = 0; i < Samples; i++)
            {
                await Task.CompletedTask;
                yield return new(scenes.GetId(i), scenes.GetCaptions(i), PngEncoder.Encode(scenes.ReadPicture(i)));
            }
        }
    }

    /// <summary>Samples whose caption and pixel are their number, some of which cannot be read.</summary>
    private sealed class Broken(int training, int heldOut, int[] broken) : IDataset
    {
        public int Count => training + heldOut;

        public int TrainingCount => training;

        public string Fingerprint => "broken";

        public string GetId(int index) => Whole(index).ToString(System.Globalization.CultureInfo.InvariantCulture);

        public IReadOnlyList<string> GetCaptions(int index) => [Whole(index).ToString(System.Globalization.CultureInfo.InvariantCulture)];

        public Picture ReadPicture(int index) => new(1, 1, [(byte)Whole(index), 0, 0]);

        public void Dispose()
        {
        }

        private int Whole(int index) => broken.Contains(index) ? throw new InvalidDataException($"{index} is broken") : index;
    }
}
