using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

public sealed class EvaluationSamplesTests
{
    [Theory]
    [InlineData(100, 90, 5, new[] { 90, 92, 94, 96, 98 })]
    [InlineData(100, 97, 5, new[] { 97, 98, 99 })]
    [InlineData(10, 10, 4, new[] { 0, 2, 5, 7 })]
    public void Of_ADataset_AreSpreadOverItsHeldOutSamples(int count, int training, int most, int[] expected)
    {
        using var dataset = new CountedDataset(count, training);
        Assert.Equal(expected, EvaluationSamples.Of(dataset, most));
    }

    private sealed class CountedDataset(int count, int training) : IDataset
    {
        public int Count => count;

        public int TrainingCount => training;

        public string Fingerprint => throw new NotSupportedException();

        public string GetId(int index) => throw new NotSupportedException();

        public IReadOnlyList<string> GetCaptions(int index) => throw new NotSupportedException();

        public Picture ReadPicture(int index) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
