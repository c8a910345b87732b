using System.Security.Cryptography;
using Dalle.Contracts.Training;
using Dalle.Data.Augmentation;
using Dalle.Data.Datasets;
using Dalle.Data.Randomness;
using Dalle.Data.TokenCache;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Randomness;
using Dalle.Model.Safetensors;
using Dalle.Workers.Models;

namespace Dalle.Workers.Training;

/// <summary>Encodes every training picture to image tokens, once, with the prior's augmentation (paper, appendix B.2).</summary>
internal sealed class EncodeStage : IStage
{
    /// <summary>Name of the token cache in the job's folder.</summary>
    public const string TokensFile = "tokens.bin";

    private const int BatchSize = 128;

    public TrainingStage Stage => TrainingStage.Encode;

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        using var dataset = context.OpenDataset();
        var config = context.Preset.DiscreteVae;
        var header = new TokenCacheHeader(dataset.TrainingCount, config.TokenCount, config.CodebookSize, FingerprintOf(context, dataset));
        if (IsEncoded(context, header))
        {
            await context.Report(new StageAdvanced(Stage, header.Count, header.Count));
            return new DoneReport();
        }

        var parameters = await context.OnDevice(
            device =>
            {
                var loaded = new ParameterStore(DiscreteVae.Declare(config), context.DiscreteVaeTraining.Precision, device, trains: false);
                ParameterFile.Load(context.Folder.PathOf(ModelFolder.DiscreteVae), loaded);
                return loaded;
            },
            cancellationToken);
        try
        {
            return await Encode(context, dataset, header, new DiscreteVae(config, parameters), cancellationToken) ? new DoneReport() : new StoppedReport(context.Leaving);
        }
        finally
        {
            await context.OnDevice(parameters.Dispose, CancellationToken.None);
        }
    }

    /// <summary>What tokens are made of: the pictures and the encoder.</summary>
    public static string FingerprintOf(StageContext context, IDataset dataset)
    {
        using var encoder = context.Folder.Store.Open(context.Folder.File(ModelFolder.DiscreteVae));
        return $"{dataset.Fingerprint} encoder:{Convert.ToHexStringLower(SHA256.HashData(encoder))}";
    }

    /// <summary>Whether the stage was done before, and only its report was lost.</summary>
    private static bool IsEncoded(StageContext context, TokenCacheHeader header)
    {
        try
        {
            using var cache = TokenCacheReader.Open(context.Folder.PathOf(TokensFile));
            return cache.Header == header;
        }
        catch (Exception unusable) when (unusable is FileNotFoundException or InvalidDataException)
        {
            return false;
        }
    }

    private static async Task<bool> Encode(
        StageContext context, ReadableDataset dataset, TokenCacheHeader header, DiscreteVae network, CancellationToken cancellationToken)
    {
        var encoded = new long[(long)header.Count * header.TokensPerSample];
        for (var first = 0; first < header.Count; first += BatchSize)
        {
            if (context.Stopping is not null)
            {
                return false;
            }

            var count = Math.Min(BatchSize, header.Count - first);
            var pixels = Read(context, dataset, network.Config.ImageSize, first, count);
            var tokens = await context.OnDevice(
                device => network.Encode(Pixels.ToTensor(pixels, network.Config.ImageSize, device)).cpu().data<long>().ToArray(), cancellationToken);
            tokens.CopyTo(encoded, (long)first * header.TokensPerSample);
            if (first / BatchSize % 16 == 0)
            {
                await context.Report(new StageAdvanced(TrainingStage.Encode, first + count, header.Count));
            }
        }

        await context.Report(new StageAdvanced(TrainingStage.Encode, header.Count, header.Count));
        context.KeepStandIns(dataset);
        context.Folder.Store.Write(context.Folder.File(TokensFile), stream =>
        {
            var writer = new TokenCacheWriter(stream, header);
            writer.Add(encoded);
            writer.Complete();
        });
        return true;
    }

    private static float[] Read(StageContext context, ReadableDataset dataset, int size, int first, int count)
    {
        var length = 3 * size * size;
        var pixels = new float[count * length];
        for (var i = 0; i < count; i++)
        {
            var key = KeyedRandom.Key(CounterRandom.Key(context.Spec.Seed, 0, 0, Purpose.Augmentation), (ulong)(first + i));

            // The captions too, for a sample is replaced as a whole.
            _ = dataset.GetCaptions(first + i);
            PictureAugmentation.ForPrior(dataset.ReadPicture(first + i), size, key, pixels.AsSpan(i * length, length));
        }

        return pixels;
    }
}
