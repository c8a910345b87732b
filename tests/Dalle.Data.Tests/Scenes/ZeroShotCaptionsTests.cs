using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class ZeroShotCaptionsTests
{
    [Fact]
    public void HeldOut_AsksForOneHeldOutPairEach_HalfOfThemWithASecondObject()
    {
        var asked = ZeroShotCaptions.HeldOut(200).Select(SceneCaption.Parse).ToList();
        Assert.All(asked, description => Assert.Single(Objects(description), SceneFamily.IsHeldOut));
        Assert.Equal(100, asked.Count(description => description.Count == 2));
        Assert.Equal(6, asked.SelectMany(Objects).Where(SceneFamily.IsHeldOut).DistinctBy(item => (item.Color, item.Shape)).Count());
    }

    [Fact]
    public void Seen_AsksForNoHeldOutPair() =>
        Assert.DoesNotContain(ZeroShotCaptions.Seen(200).Select(SceneCaption.Parse).SelectMany(Objects), SceneFamily.IsHeldOut);

    [Fact]
    public void HeldOut_OfFewer_BeginsTheLongerList() =>
        Assert.Equal(ZeroShotCaptions.HeldOut(200).Take(7), ZeroShotCaptions.HeldOut(7));

    private static IEnumerable<SceneObject> Objects(SceneDescription description) =>
        description.Second is { } second ? [description.First, second] : [description.First];
}
