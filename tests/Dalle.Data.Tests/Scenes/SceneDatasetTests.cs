using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneDatasetTests
{
    [Fact]
    public void SceneDataset_HoldsTrainingScenesThenEvaluationScenes()
    {
        using var dataset = new SceneDataset(seed: 5, trainingCount: 100, evaluationCount: 20);
        Assert.Equal(120, dataset.Count);
        Assert.Equal(100, dataset.TrainingCount);
        Assert.Equal("training/00000099", dataset.GetId(99));
        Assert.Equal("seen/00000000", dataset.GetId(100));
        Assert.Equal(SceneRasterizer.Render(SceneFamily.Get(SceneSplit.Seen, 3, 5)).Rgb, dataset.ReadPicture(103).Rgb);
        Assert.Equal(SceneCaption.AllOf(SceneFamily.Get(SceneSplit.Training, 7, 5).Description), dataset.GetCaptions(7));
    }

    [Fact]
    public void GetCaptions_OfTrainingScenes_NeverNameAHeldOutPair()
    {
        using var dataset = new SceneDataset(trainingCount: 3000);
        string[] heldOut = [.. SceneFamily.HeldOutPairs.Select(pair => $"{pair.Color} {pair.Shape}".ToLowerInvariant())];
        for (var i = 0; i < dataset.Count; i++)
        {
            Assert.DoesNotContain(dataset.GetCaptions(i), caption => heldOut.Any(pair => caption.Contains(pair, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Fingerprint_OfOtherContent_Differs()
    {
        string[] fingerprints = [new SceneDataset().Fingerprint, new SceneDataset(1).Fingerprint, new SceneDataset(0, 10).Fingerprint, new SceneDataset(0, 20_000, 10).Fingerprint];
        Assert.Equal(4, fingerprints.Distinct().Count());
        Assert.Equal(fingerprints[0], new SceneDataset().Fingerprint);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(120)]
    public void ReadPicture_OutsideTheDataset_Throws(int index) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SceneDataset(0, 100, 20).ReadPicture(index));
}
