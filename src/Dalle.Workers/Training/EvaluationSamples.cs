using Dalle.Data.Datasets;

namespace Dalle.Workers.Training;

/// <summary>The samples that evaluations look at.</summary>
internal static class EvaluationSamples
{
    /// <summary>At most so many held-out samples; training samples where none are held out. They come from all over: neighbours in a dataset are often of one kind.</summary>
    public static int[] Of(IDataset dataset, int most)
    {
        var first = dataset.TrainingCount < dataset.Count ? dataset.TrainingCount : 0;
        var available = dataset.Count - first;
        var count = Math.Min(most, available);
        return [.. Enumerable.Range(0, count).Select(i => first + (int)((long)i * available / count))];
    }
}
