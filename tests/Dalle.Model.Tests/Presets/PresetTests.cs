using Dalle.Model.DiscreteVae;
using Dalle.Model.Presets;
using Network = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Model.Tests.Presets;

public sealed class PresetTests
{
    public static TheoryData<string> Names => [.. Preset.All.Select(preset => preset.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Find_EveryName_GivesAPresetThatHoldsTogether(string name)
    {
        var preset = Preset.Find(name);

        preset.Validate();
        Assert.Equal(name, preset.Name);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Declare_DiscreteVae_HasTheApprovedNamesAndShapes(string name) => ApprovedText.Matches(
        $"Presets/{name}.discrete-vae.txt",
        Network.Declare(Preset.Find(name).DiscreteVae).Select(spec => $"{spec.Name} [{string.Join(", ", spec.Shape)}]"));

    [Fact]
    public void Find_UnknownName_ListsTheNames() =>
        Assert.Contains("tiny, tiny-full, test, emoji", Assert.Throws<ArgumentException>(() => Preset.Find("huge")).Message);

    [Fact]
    public void PaperPresets_TrainWithoutAids() => Assert.All(
        [Preset.Dalle12B, Preset.Dalle5600M, Preset.Dalle2800M],
        preset => Assert.Equal(new DiscreteVaeTraining(), preset.DiscreteVaeTraining));
}
