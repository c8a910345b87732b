using System.IO.Hashing;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Dalle.Data.Pictures;
using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>
/// Turns a source into a dataset folder: every sample filtered and decoded once, the good ones in WebDataset shards with their picture files untouched, the bad ones
/// counted by reason. The folder appears complete or not at all; an import that was broken off is simply started again.
/// </summary>
public static class DatasetImporter
{
    private const int ProgressEvery = 64;

    /// <summary>Imports <paramref name="source"/> into <paramref name="folder"/>.</summary>
    /// <exception cref="SourceException">The folder is in use, or nothing usable came from the source.</exception>
    public static async Task<DatasetManifest> Import(
        ISampleSource source, string folder, ImportOptions? options = null, IProgress<ImportProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        options ??= new ImportOptions();
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        using var staging = StagingFolder.Open(folder, options.Replace);
        var manifest = await WriteShards(source, staging.Path, options, progress, cancellationToken);
        staging.Write(DatasetManifest.FileName, manifest.ToJson());
        staging.Publish();
        return manifest;
    }

    private static async Task<DatasetManifest> WriteShards(
        ISampleSource source, string folder, ImportOptions options, IProgress<ImportProgress>? progress, CancellationToken cancellationToken)
    {
        await using var training = new ShardWriter(folder, ShardDataset.TrainingName, options.ShardBytes);
        await using var heldOut = new ShardWriter(folder, ShardDataset.HeldOutName, options.ShardBytes);
        var rejected = new RejectionTally();
        var seen = new HashSet<UInt128>();
        var (accepted, pictureBytes, droppedCaptions) = (0L, 0L, 0L);

        await foreach (var (sample, check) in CheckAhead(source, rejected, options, cancellationToken))
        {
            if (check.Reason is { } reason)
            {
                rejected.Add(sample.Id, reason);
            }
            else if (options.Filters.DropRepeatedPictures && !seen.Add(check.PixelHash))
            {
                rejected.Add(sample.Id, RejectionReason.PictureRepeated);
            }
            else
            {
                var writer = sample.HeldOut ?? IsHeldOut(sample.Group ?? sample.Id, options.HeldOutShare) ? heldOut : training;
                await writer.Add(new SampleRecord(sample.Id, check.Captions[0], check.Captions, check.Width, check.Height), sample.EncodedPicture, cancellationToken);
                pictureBytes += sample.EncodedPicture.Length;
                droppedCaptions += sample.Captions.Count - check.Captions.Count;
                accepted++;
            }
            if ((accepted + rejected.Count) % ProgressEvery == 0)
            {
                progress?.Report(new ImportProgress(accepted, rejected.Count, pictureBytes));
            }
            if (accepted == options.MaxSamples)
            {
                break;
            }
        }
        progress?.Report(new ImportProgress(accepted, rejected.Count, pictureBytes));
        var (trainingPart, trainingHash) = await training.Finish();
        var (heldOutPart, heldOutHash) = await heldOut.Finish();
        if (trainingPart.Samples == 0)
        {
            throw new SourceException(accepted == 0
                ? $"Nothing usable came from {source.Description}: {Summary(rejected)}."
                : $"All {accepted} usable samples of {source.Description} would be held out, which leaves nothing to train on: choose a smaller share.");
        }
        return new DatasetManifest
        {
            Version = DatasetManifest.CurrentVersion,
            Source = source.Description,
            Licence = source.Licence,
            Tool = $"dalle {typeof(DatasetImporter).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]}",
            Fingerprint = "sha256:" + Convert.ToHexStringLower(SHA256.HashData([.. trainingHash, .. heldOutHash])),
            Filters = options.Filters,
            Training = trainingPart,
            HeldOut = heldOutPart,
            DroppedCaptions = droppedCaptions,
            Rejected = rejected.Report(),
        };
    }

    /// <summary>Checks samples on all cores while keeping the source's order.</summary>
    private static async IAsyncEnumerable<(Sample Sample, SampleCheck Check)> CheckAhead(
        ISampleSource source, RejectionTally rejected, ImportOptions options, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var running = new Queue<(Sample Sample, Task<SampleCheck> Check)>();
        await foreach (var sample in source.Read(rejected.Add, cancellationToken))
        {
            running.Enqueue((sample, Task.Run(() => SampleCheck.Of(sample, options), cancellationToken)));
            if (running.Count >= 2 * Environment.ProcessorCount)
            {
                var (first, check) = running.Dequeue();
                yield return (first, await check);
            }
        }
        while (running.TryDequeue(out var next))
        {
            yield return (next.Sample, await next.Check);
        }
    }

    private static bool IsHeldOut(string group, double share) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(group)) < share * ulong.MaxValue;

    private static string Summary(RejectionTally rejected) => rejected.Count == 0
        ? "it has no samples"
        : "rejected: " + string.Join(", ", rejected.Report().Select(reason => $"{reason.Key} {reason.Value.Count} (such as '{reason.Value.Examples[0]}')"));

    /// <summary>What the filters and the decoder say of one sample.</summary>
    private sealed record SampleCheck(RejectionReason? Reason, IReadOnlyList<string> Captions, int Width, int Height, UInt128 PixelHash)
    {
        public static SampleCheck Of(Sample sample, ImportOptions options)
        {
            var captions = sample.Captions.Where(caption => options.Filters.Check(caption) is null).ToArray();
            if (captions.Length == 0)
            {
                return Rejected(sample.Captions.Count == 0 ? RejectionReason.CaptionMissing : options.Filters.Check(sample.Captions[0])!.Value);
            }
            try
            {
                var picture = PictureDecoder.Decode(sample.EncodedPicture.Span, options.PictureLimits);
                return options.Filters.Check(picture.Width, picture.Height) is { } reason
                    ? Rejected(reason)
                    : new SampleCheck(null, captions, picture.Width, picture.Height, XxHash128.HashToUInt128(picture.Rgb, picture.Width));
            }
            catch (PictureException broken)
            {
                return Rejected(broken.Reason);
            }
        }

        private static SampleCheck Rejected(RejectionReason reason) => new(reason, [], 0, 0, 0);
    }
}
