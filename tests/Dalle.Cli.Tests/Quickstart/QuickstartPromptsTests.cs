using Dalle.Cli.Quickstart;
using Dalle.Data.Scenes;

namespace Dalle.Cli.Tests.Quickstart;

public sealed class QuickstartPromptsTests
{
    [Fact]
    public void All_AreFourCaptionsWithExactlyOneHeldOutPair()
    {
        Assert.Equal(4, QuickstartPrompts.All.Distinct().Count());
        Assert.All(QuickstartPrompts.All, prompt =>
        {
            var scene = SceneCaption.Parse(prompt);
            SceneObject?[] objects = [scene.First, scene.Second];
            Assert.Single(objects, item => item is { } present && SceneFamily.IsHeldOut(present));
        });
    }
}
