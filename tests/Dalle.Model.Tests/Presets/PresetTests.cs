using Dalle.Model.DiscreteVae;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
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

    [Theory]
    [MemberData(nameof(Names))]
    public void Declare_Prior_HasTheApprovedNamesAndShapes(string name) => ApprovedText.Matches(
        $"Presets/{name}.prior.txt",
        TransformerParameters.Declare(Preset.Find(name).Transformer).Select(spec => $"{spec.Name} [{string.Join(", ", spec.Shape)}]"));

    // Twelve billion in all: the layers' 12 d^2 + 13 d each, then embeddings, unembeddings and the last normalisation.
    [Fact]
    public void Declare_PriorOfThePaper_HasThePapersNumberOfParameters()
    {
        const long Width = 3968, Layers = 64, Text = 16_384 + 256 + 256, Image = 8192 + 32 + 32, Unembeddings = 16_384 + 8192;
        var count = TransformerParameters.Declare(Preset.Dalle12B.Transformer).Sum(spec => spec.Count);
        Assert.Equal((Layers * ((12 * Width * Width) + (13 * Width))) + ((Text + Image + Unembeddings + 2) * Width), count);
        Assert.Equal(12_292_808_448, count);
    }

    [Fact]
    public void Declare_PriorOfEmoji_HasAboutTenMillionParameters() =>
        Assert.InRange(TransformerParameters.Declare(Preset.Emoji.Transformer).Sum(spec => spec.Count), 8_500_000, 11_000_000);

    [Fact]
    public void Find_UnknownName_ListsTheNames() =>
        Assert.Contains("tiny, tiny-full, test, emoji", Assert.Throws<ArgumentException>(() => Preset.Find("huge")).Message);

    [Fact]
    public void PaperPresets_TrainWithoutAids() => Assert.All(
        [Preset.Dalle12B, Preset.Dalle5600M, Preset.Dalle2800M],
        preset =>
        {
            Assert.Equal(new DiscreteVaeTraining(), preset.DiscreteVaeTraining);
            Assert.Equal((1.0 / 64, 1, 1), (preset.DiscreteVae.ResidualGain, preset.DiscreteVae.LogitGain, preset.DiscreteVae.CodeGain));
            Assert.Equal(new PriorTraining(), preset.PriorTraining);
            Assert.Equal((0.02, 0.02), (preset.Transformer.EmbeddingDeviation, preset.Transformer.UnembeddingDeviation));
        });
}
