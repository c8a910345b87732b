using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneFamilyTests
{
    [Fact]
    public void Get_OfTheSameArguments_IsTheSameScene()
    {
        var (a, b) = (SceneFamily.Get(SceneSplit.Training, 41, 3), SceneFamily.Get(SceneSplit.Training, 41, 3));
        Assert.Equal(a.Description, b.Description);
        Assert.Equal(a.Objects, b.Objects);
        Assert.NotEqual(a.Objects, SceneFamily.Get(SceneSplit.Training, 41, 4).Objects);
        Assert.NotEqual(a.Objects, SceneFamily.Get(SceneSplit.Seen, 41, 3).Objects);
    }

    [Fact]
    public void Get_OfAnySplit_HasOneAndTwoObjectsHalfEach()
    {
        Assert.Equal(500, Scenes(SceneSplit.Training, 1000).Count(scene => scene.Objects.Count == 1));
        Assert.Equal(500, Scenes(SceneSplit.HeldOut, 1000).Count(scene => scene.Objects.Count == 2));
    }

    [Theory]
    [InlineData(SceneSplit.Training)]
    [InlineData(SceneSplit.Seen)]
    public void Get_OfSeenSplits_NeverShowsAHeldOutPair(SceneSplit split) =>
        Assert.DoesNotContain(Scenes(split, 5000).SelectMany(scene => scene.Objects), placed => SceneFamily.IsHeldOut(placed.Object));

    [Fact]
    public void Get_OfTheHeldOutSplit_ShowsExactlyOneHeldOutPair() =>
        Assert.All(Scenes(SceneSplit.HeldOut, 2000), scene => Assert.Single(scene.Objects, placed => SceneFamily.IsHeldOut(placed.Object)));

    [Fact]
    public void HeldOutPairs_LeaveEveryColorAndShapeOftenSeen()
    {
        Assert.Equal(6, SceneFamily.HeldOutPairs.Distinct().Count());
        Assert.Equal(18, SceneFamily.SeenPairs.Distinct().Count());
        Assert.All(SceneFamily.SeenPairs.CountBy(pair => pair.Color), color => Assert.Equal(3, color.Value));
        Assert.All(SceneFamily.SeenPairs.CountBy(pair => pair.Shape), shape => Assert.InRange(shape.Value, 4, 5));
    }

    [Fact]
    public void Get_OfTwoObjects_PartsThemAlongTheNamedAxis()
    {
        foreach (var scene in Scenes(SceneSplit.Training, 4000).Concat(Scenes(SceneSplit.HeldOut, 4000)).Where(scene => scene.Objects.Count == 2))
        {
            var (first, second) = (scene.Objects[0], scene.Objects[1]);
            var (along, across) = scene.Description.Relation switch
            {
                SceneRelation.Above => (second.Y - first.Y, second.X - first.X),
                SceneRelation.Below => (first.Y - second.Y, second.X - first.X),
                SceneRelation.LeftOf => (second.X - first.X, second.Y - first.Y),
                _ => (first.X - second.X, second.Y - first.Y),
            };
            Assert.True(along - ((first.Object.Size.Extent() + second.Object.Size.Extent()) / 2) >= SceneFamily.Gap);
            Assert.True(Math.Abs(across) <= along / 2);
            Assert.NotEqual((first.Object.Color, first.Object.Shape), (second.Object.Color, second.Object.Shape));
        }
    }

    [Fact]
    public void Get_OfAnyScene_KeepsObjectsInsideThePicture() =>
        Assert.All(Scenes(SceneSplit.Training, 4000).SelectMany(scene => scene.Objects), placed =>
        {
            var reach = placed.Object.Size.Extent() / 2;
            Assert.InRange(placed.X, reach, SceneVocabulary.ImageSize - reach);
            Assert.InRange(placed.Y, reach, SceneVocabulary.ImageSize - reach);
        });

    [Fact]
    public void Get_OverManyScenes_DrawsEveryAttributeEvenly()
    {
        var scenes = Scenes(SceneSplit.Training, 20_000).ToList();
        var objects = scenes.SelectMany(scene => scene.Objects).Select(placed => placed.Object).ToList();
        Assert.All(objects.CountBy(item => (item.Color, item.Shape)), pair => Assert.InRange(pair.Value, 1450, 1900));
        Assert.All(objects.CountBy(item => item.Size), size => Assert.InRange(size.Value, 14_500, 15_500));
        Assert.All(
            scenes.Where(scene => scene.Objects.Count == 2).CountBy(scene => scene.Description.Relation!.Value),
            relation => Assert.InRange(relation.Value, 2350, 2650));
    }

    private static IEnumerable<Scene> Scenes(SceneSplit split, int count) => Enumerable.Range(0, count).Select(i => SceneFamily.Get(split, i, 0));
}
