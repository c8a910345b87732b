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
            return await Encode(context, dataset, new DiscreteVae(config, parameters), cancellationToken) ? new DoneReport() : new StoppedReport();
        }
        finally
        {
            await context.OnDevice(parameters.Dispose, CancellationToken.None);
        }
    }

    private static async Task<bool> Encode(StageContext context, IDataset dataset, DiscreteVae network, CancellationToken cancellationToken)
    {
        var header = new TokenCacheHeader(dataset.TrainingCount, network.Config.TokenCount, network.Config.CodebookSize, dataset.Fingerprint);
        var encoded = new long[(long)header.Count * header.TokensPerSample];
        for (var first = 0; first < header.Count; first += BatchSize)
        {
            if (context.Stopping)
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

        context.Folder.Store.Write(context.Folder.File(TokensFile), stream =>
        {
            var writer = new TokenCacheWriter(stream, header);
            writer.Add(encoded);
            writer.Complete();
        });
        return true;
    }

    private static float[] Read(StageContext context, IDataset dataset, int size, int first, int count)
    {
        var length = 3 * size * size;
        var pixels = new float[count * length];
        for (var i = 0; i < count; i++)
        {
            var key = KeyedRandom.Key(CounterRandom.Key(context.Spec.Seed, 0, 0, Purpose.Augmentation), (ulong)(first + i));
            PictureAugmentation.ForPrior(dataset.ReadPicture(first + i), size, key, pixels.AsSpan(i * length, length));
        }

        return pixels;
    }
}
