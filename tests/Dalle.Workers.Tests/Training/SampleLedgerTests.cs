using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Data.TokenCache;
using Dalle.Data.Tokenization;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Models;
using Dalle.Workers.Training;
using static TorchSharp.torch;
using Vae = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Workers.Tests.Training;

/// <summary>Every sample is used exactly once in every pass, as the same picture and with the same caption, however many silos come and go meanwhile.</summary>
public sealed class SampleLedgerTests : IDisposable
{
    /// <summary>A batch of 8 does not divide it: passes begin and end inside of updates.</summary>
    private const int TrainingSamples = 21;

    private const int Updates = 25;
    private const int MostHosts = 4;

    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-ledger-").FullName);
    private readonly DeviceThread _device = new(CPU, threads: 1);
    private readonly StageRun _run = new(new("j", TrainingStage.Prior, 1, "0/0"));
    private readonly NumberedSamples _samples = new(TrainingSamples, heldOut: 3);
    private readonly JobFolder _folder;
    private readonly string _model;

    public SampleLedgerTests()
    {
        _folder = new(_store, "j");
        _model = PublishedTestModel.Write(_store, "m").Path;
        _store.Write(_folder.File(ModelFolder.DiscreteVae), stream => stream.Write(File.ReadAllBytes(_store.PathOf($"{_model}/{ModelFolder.DiscreteVae}"))));
        _store.Write(_folder.File(EncodeStage.TokensFile), WriteTokens);
    }

    /// <summary>Epochs as hosts@from-to: grown and shrunk at a step boundary, or begun again from an older step after a loss.</summary>
    public static TheoryData<string> Histories =>
    [
        "2@0-25", "3@0-25", "4@0-25", "1@0-4 2@4-11 4@11-19 3@19-25", "4@0-12 3@8-25", "2@0-9 1@0-25", "3@0-7 2@5-9 4@5-16 1@14-25",
    ];

    public void Dispose()
    {
        _run.Dispose();
        _device.Dispose();
        Directory.Delete(_store.Root, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Histories))]
    public void Pictures_AreUsedOnceInEveryPass_WhateverTheHosts(string history) => AssertAsOnOneHost(OfPictures(history), OfPictures($"1@0-{Updates}"));

    [Theory]
    [MemberData(nameof(Histories))]
    public void Captions_AreUsedOnceInEveryPass_WhateverTheHosts(string history) => AssertAsOnOneHost(OfCaptions(history), OfCaptions($"1@0-{Updates}"));

    [Theory]
    [MemberData(nameof(Histories))]
    public void Pairs_AreUsedOnceInEveryPass_WhateverTheHosts(string history) => AssertAsOnOneHost(OfPairs(history), OfPairs($"1@0-{Updates}"), passes: 20);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(1, 8)]
    public void Samples_OfAnUpdate_AreTheSame_HoweverManyWorkersShareIt(int replicas, int shards)
    {
        var history = $"1@0-{Updates}";

        Assert.Equal(OfPictures(history).Samples, OfPictures(history, replicas, shards).Samples);
        Assert.Equal(OfCaptions(history).Samples, OfCaptions(history, replicas, shards).Samples);
        Assert.Equal(OfPairs(history).Samples, OfPairs(history, replicas, shards).Samples);
    }

    private static void AssertAsOnOneHost(SampleLedger ledger, SampleLedger onOneHost, int passes = 10)
    {
        var found = ledger.Samples.Select(sample => sample.Number).Chunk(TrainingSamples).ToArray();
        Assert.Equal(passes, found.Length);
        Assert.All(found[..^1], pass => Assert.Equal(Enumerable.Range(0, TrainingSamples), pass.Order()));
        Assert.Distinct(found[^1]);
        Assert.Equal(onOneHost.Entries, ledger.Entries);

        // What is drawn of a sample is drawn anew in every pass, or that it is the same would say nothing.
        Assert.All(ledger.Samples.GroupBy(sample => sample.Number), sample => Assert.NotEqual(1, sample.Select(used => used.Content).Distinct().Count()));
    }

    private SampleLedger OfPictures(string history, int replicas = 2, int shards = 2)
    {
        var context = Context(TrainingStage.DiscreteVae, replicas, shards);
        var (config, training) = (context.Preset.DiscreteVae, context.DiscreteVaeTraining);
        var length = 3 * config.ImageSize * config.ImageSize;
        using var pictures = new PictureBatches(_samples, context.Spec.Seed, training.BatchSize, config.ImageSize, flip: false);
        var rows = new HeldRows(new ShardPlan(Vae.Declare(config), shards), 0, shards);
        var updates = Enumerable.Range(0, MostHosts).Select(_ => new DiscreteVaeUpdates(context, pictures, rows, CPU)).ToArray();
        try
        {
            return SampleLedger.Of(Epochs(history, replicas, shards), updates, (batch, grid, worker) =>
                [.. batch[worker - grid.OwnWorkers[0]].Chunk(length).Select(pixels => new UsedSample(NumberedSamples.NumberOf(pixels[0]), Hash(pixels)))]);
        }
        finally
        {
            Array.ForEach(updates, host => host.Dispose());
        }
    }

    private SampleLedger OfCaptions(string history, int replicas = 2, int shards = 2)
    {
        var context = Context(TrainingStage.Prior, replicas, shards);
        var (config, training) = (context.Preset.Transformer, context.PriorTraining);
        using var captions = new CaptionBatches(
            _samples, TextTokenizer.Load(_store.PathOf(_model)), TokenCacheReader.Open(_folder.PathOf(EncodeStage.TokensFile)), config, training, context.Spec.Seed);
        var rows = new HeldRows(new ShardPlan(TransformerParameters.Declare(config), shards), 0, shards);
        var updates = Enumerable.Range(0, MostHosts).Select(_ => new PriorUpdates(context, captions, rows, CPU)).ToArray();
        try
        {
            return SampleLedger.Of(Epochs(history, replicas, shards), updates, (batch, grid, worker) =>
            {
                var own = BatchRows.Of(training.BatchSize, worker, grid.Workers);
                return [.. Enumerable.Range(own.First, own.Count).Select(row =>
                    new UsedSample((int)batch.Image[row * config.ImageLength], string.Join(' ', batch.Text.AsSpan(row * config.TextLength, config.TextLength).ToArray())))];
            });
        }
        finally
        {
            Array.ForEach(updates, host => host.Dispose());
        }
    }

    private SampleLedger OfPairs(string history, int replicas = 2, int shards = 2)
    {
        var context = Context(TrainingStage.Reranker, replicas, shards);
        var (config, training) = (context.Preset.Reranker!, context.RerankerTraining!);
        var length = 3 * config.ImageSize * config.ImageSize;
        using var pairs = new PairBatches(_samples, TextTokenizer.Load(_store.PathOf(_model)), config, training.BatchSize, context.Spec.Seed);
        var rows = new HeldRows(new ShardPlan(RerankerParameters.Declare(config), shards), 0, shards);
        var updates = Enumerable.Range(0, MostHosts).Select(_ => new RerankerUpdates(context, pairs, rows, CPU)).ToArray();
        try
        {
            return SampleLedger.Of(Epochs(history, replicas, shards), updates, (batch, grid, worker) =>
            {
                var own = batch[worker - grid.OwnWorkers[0]];
                return [.. own.Pixels.Chunk(length).Zip(own.Text.Chunk(config.TextLength), (pixels, text) =>
                    new UsedSample(NumberedSamples.NumberOf(pixels[0]), $"{Hash(pixels)} {string.Join(' ', text)}"))];
            });
        }
        finally
        {
            Array.ForEach(updates, host => host.Dispose());
        }
    }

    private StageContext Context(TrainingStage stage, int replicas, int shards)
    {
        var spec = new TrainingSpec
        {
            Preset = "test", Dataset = "scenes", Model = "m", Seed = 3, DiscreteVaeUpdates = Updates, PriorUpdates = Updates, RerankerUpdates = Updates, ThreadsPerWorker = 1, Replicas = replicas, Shards = shards,
        };
        var lease = new StageLease { Epoch = 1, Stage = stage, Spec = spec, Placement = SingleHost.Placement(replicas, shards) };
        return new(lease, SingleHost.Key("j"), _folder, SingleHost.Shards("j"), _device, SingleHost.Instruments, TimeProvider.System, _run);
    }

    private static IEnumerable<(IReadOnlyList<WorkerGrid> Hosts, Range Steps)> Epochs(string history, int replicas, int shards) =>
        from epoch in history.Split(' ')
        let numbers = epoch.Split('@', '-').Select(number => int.Parse(number, CultureInfo.InvariantCulture)).ToArray()
        let hosts = Hosts(numbers[0], replicas, shards)
        select (
            (IReadOnlyList<WorkerGrid>)[.. Enumerable.Range(0, hosts.Length).Select(own => new WorkerGrid(replicas, shards, hosts, own))],
            numbers[1]..numbers[2]);

    private static GridHost[] Hosts(int count, int replicas, int shards) => count switch
    {
        1 => [Host(0, 0, replicas, 0, shards)],
        2 => [Host(0, 0, 1, 0, 2), Host(1, 1, 1, 0, 2)],
        3 => [Host(0, 0, 1, 0, 1), Host(1, 0, 1, 1, 1), Host(2, 1, 1, 0, 2)],
        _ => [Host(0, 0, 1, 0, 1), Host(1, 0, 1, 1, 1), Host(2, 1, 1, 0, 1), Host(3, 1, 1, 1, 1)],
    };

    private static GridHost Host(int number, int firstReplica, int replicas, int firstOrdinal, int ordinals) =>
        new(new($"silo-{number}", new(IPAddress.Loopback, 1)), firstReplica, replicas, firstOrdinal, ordinals);

    private void WriteTokens(Stream stream)
    {
        var config = Preset.Test.Transformer;
        var writer = new TokenCacheWriter(stream, new(TrainingSamples, config.ImageLength, config.ImageVocabulary, _samples.Fingerprint));
        for (var i = 0; i < TrainingSamples; i++)
        {
            writer.Add([.. Enumerable.Repeat((long)i, config.ImageLength)]);
        }

        writer.Complete();
    }

    private static string Hash(float[] pixels) => Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes(pixels.AsSpan())));

    /// <summary>Pictures as red as their number, which no augmentation changes, and with a gradient that each one moves.</summary>
    private sealed class NumberedSamples(int training, int heldOut) : IDataset
    {
        private const int Width = 60;
        private const int Height = 50;
        private const int Step = 10;

        public static int NumberOf(float red) => (int)Math.Round(red * 255 / Step);

        public int Count => training + heldOut;

        public int TrainingCount => training;

        public string Fingerprint => "numbered";

        public string GetId(int index) => index.ToString(CultureInfo.InvariantCulture);

        public IReadOnlyList<string> GetCaptions(int index) => [$"a red circle {index}", $"a blue square {index}", $"a green cross {index}"];

        public Picture ReadPicture(int index) => new(Width, Height,
            [.. Enumerable.Range(0, Width * Height).SelectMany(pixel => new[] { (byte)(index * Step), (byte)(pixel % Width * 4), (byte)(pixel / Width * 5) })]);

        public void Dispose()
        {
        }
    }
}
