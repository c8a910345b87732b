using System.Runtime.CompilerServices;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>A dataset read as a source: its pictures as PNG, its held-out samples still held out.</summary>
public sealed class DatasetSource(IDataset dataset, string description, string? licence) : ISampleSource
{
    public string Description => description;

    public string? Licence => licence;

    public async IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var index = 0; index < dataset.Count; index++)
        {
            var number = index;
            var png = await Task.Run(() => PngEncoder.Encode(dataset.ReadPicture(number)), cancellationToken);
            yield return new Sample(dataset.GetId(index), dataset.GetCaptions(index), png) { HeldOut = index >= dataset.TrainingCount };
        }
    }
}
