using System.Globalization;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;

namespace Dalle.Data.Scenes;

/// <summary>Scenes as a dataset: drawn when read, so it takes no space. The held-out samples are of <see cref="SceneSplit.Seen"/>, not zero-shot.</summary>
public sealed class SceneDataset : IDataset
{
    /// <summary>Changes whenever the same arguments would give other pictures or captions.</summary>
    private const int FamilyVersion = 1;

    private readonly ulong _seed;

    /// <param name="seed">Another seed gives other scenes of the same family.</param>
    /// <param name="trainingCount">Scenes to train on.</param>
    /// <param name="evaluationCount">Scenes after them, for evaluation.</param>
    public SceneDataset(ulong seed = 0, int trainingCount = 20_000, int evaluationCount = 1_000)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(trainingCount, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(evaluationCount);
        _seed = seed;
        TrainingCount = trainingCount;
        Count = checked(trainingCount + evaluationCount);
    }

    public int Count { get; }

    public int TrainingCount { get; }

    public string Fingerprint => string.Create(CultureInfo.InvariantCulture, $"scenes-v{FamilyVersion}-{TrainingCount}+{Count - TrainingCount}-{_seed:x16}");

    public string GetId(int index)
    {
        var (split, number) = Locate(index);
        return string.Create(CultureInfo.InvariantCulture, $"{split}/{number:d8}").ToLowerInvariant();
    }

    public IReadOnlyList<string> GetCaptions(int index) => SceneCaption.AllOf(GetScene(index).Description);

    public Picture ReadPicture(int index) => SceneRasterizer.Render(GetScene(index));

    public Scene GetScene(int index)
    {
        var (split, number) = Locate(index);
        return SceneFamily.Get(split, number, _seed);
    }

    public void Dispose()
    {
    }

    private (SceneSplit Split, int Number) Locate(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return index < TrainingCount ? (SceneSplit.Training, index) : (SceneSplit.Seen, index - TrainingCount);
    }
}
