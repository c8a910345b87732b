using System.Collections.Concurrent;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;

namespace Dalle.Workers.Training;

/// <summary>
/// A dataset some samples of which may have been damaged since it was imported: the next readable sample of the same side of the split stands in for each, with
/// picture and captions. Which one is a function of the files alone, so a job that is resumed sees the same samples.
/// </summary>
/// <param name="dataset">The dataset; disposed with this.</param>
/// <param name="known">Stand-ins found before, by the sample that they stand in for.</param>
/// <param name="replaced">Told of each new stand-in: the damaged sample, the stand-in, and what is wrong, in one line. Called from any thread.</param>
/// <remarks>Thread-safe.</remarks>
internal sealed class ReadableDataset(IDataset dataset, IReadOnlyDictionary<int, int> known, Action<int, int, string> replaced) : IDataset
{
    private readonly ConcurrentDictionary<int, int> _standIns = new(known);

    public int Count => dataset.Count;

    public int TrainingCount => dataset.TrainingCount;

    public string Fingerprint => dataset.Fingerprint;

    /// <summary>The stand-ins so far, by the sample that they stand in for.</summary>
    public IReadOnlyDictionary<int, int> StandIns => _standIns;

    public string GetId(int index) => Read(index, dataset.GetId);

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">No sample of the same side of the split can be read.</exception>
    public IReadOnlyList<string> GetCaptions(int index) => Read(index, dataset.GetCaptions);

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">No sample of the same side of the split can be read.</exception>
    public Picture ReadPicture(int index) => Read(index, dataset.ReadPicture);

    public void Dispose() => dataset.Dispose();

    private T Read<T>(int index, Func<int, T> read)
    {
        if (_standIns.TryGetValue(index, out var standIn))
        {
            return read(standIn);
        }

        try
        {
            return read(index);
        }
        catch (InvalidDataException damage)
        {
            standIn = FindStandIn(index, damage);
            if (_standIns.TryAdd(index, standIn))
            {
                replaced(index, standIn, damage.Message);
            }

            return read(standIn);
        }
    }

    private int FindStandIn(int index, InvalidDataException damage)
    {
        var (first, count) = index < TrainingCount ? (0, TrainingCount) : (TrainingCount, Count - TrainingCount);
        for (var offset = 1; offset < count; offset++)
        {
            var candidate = first + ((index - first + offset) % count);
            if (IsReadable(candidate))
            {
                return candidate;
            }
        }

        throw new InvalidDataException($"None of {count} samples can be read. {damage.Message}", damage);
    }

    private bool IsReadable(int index)
    {
        try
        {
            _ = dataset.GetCaptions(index);
            _ = dataset.ReadPicture(index);
            return true;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }
}
