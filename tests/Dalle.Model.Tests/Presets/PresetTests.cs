using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Sampling;
using Network = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Model.Tests.Presets;

public sealed class PresetTests
{
    public static TheoryData<string> PaperNames => ["dalle-12b", "dalle-5.6b", "dalle-2.8b"];

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

    [Theory]
    [MemberData(nameof(Names))]
    public void Declare_Reranker_HasTheApprovedNamesAndShapes(string name) => ApprovedText.Matches(
        $"Presets/{name}.reranker.txt",
        RerankerParameters.Declare(Preset.Find(name).Reranker!).Select(spec => $"{spec.Name} [{string.Join(", ", spec.Shape)}]"));

    [Fact]
    public void Validate_OfARerankerThatFitsNotTheOthers_OrIsHalfThere_SaysSo()
    {
        Assert.Contains("text tokens of 11", Message(Preset.Tiny with { Reranker = Preset.Tiny.Reranker! with { TextVocabulary = 11 } }), StringComparison.Ordinal);
        Assert.Contains("a shape alone", Message(Preset.Tiny with { RerankerTraining = null }), StringComparison.Ordinal);
        Assert.Contains("training alone", Message(Preset.Tiny with { Reranker = null }), StringComparison.Ordinal);
        (Preset.Tiny with { Reranker = null, RerankerTraining = null }).Validate();

        static string Message(Preset preset) => Assert.Throws<ArgumentException>(preset.Validate).Message;
    }

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

    // Appendix A.2. Written out in full, so that whatever is added to it has to be off here.
    [Theory]
    [MemberData(nameof(PaperNames))]
    public void DiscreteVaeOfAPaperPreset_IsTrainedAsInThePaper_WithoutAids(string name) => Assert.Equal(
        "DiscreteVaeTraining { "
        + "Updates = 3000000, BatchSize = 512, "
        + "LearningRate = CosineSchedule { From = 0.0001, To = 1.25E-06, Over = 1200000 }, "
        + "KlWeight = CosineSchedule { From = 0, To = 6.6, Over = 5000 }, "
        + "Tau = CosineSchedule { From = 1, To = 0.0625, Over = 150000 }, "
        + "Optimizer = AdamWConfig { Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1E-08, WeightDecay = 0.0001, VarianceClip = Infinity, GradientClip = Infinity, Moments = Float32 }, "
        + "AverageDecay = 0.999, Precision = BFloat16, "
        + "LogScaleFloor = , UsageEntropyWeight = CosineSchedule { From = 0, To = 0, Over = 0 }, WarmUp = 0 }",
        Preset.Find(name).DiscreteVaeTraining.ToString());

    // Appendix B.2; it does not say what a plateau is.
    [Theory]
    [MemberData(nameof(PaperNames))]
    public void PriorOfAPaperPreset_IsTrainedAsInThePaper_WithoutAids(string name) => Assert.Equal(
        "PriorTraining { "
        + "Updates = 430000, BatchSize = 1024, "
        + "LearningRate = 0.00045, WarmUp = 5000, Plateau = PlateauSchedule { Halvings = 5, Patience = 5000, Smoothing = 0.998, Improvement = 0.001 }, CosineFloor = , "
        + "Optimizer = AdamWConfig { Beta1 = 0.9, Beta2 = 0.96, Epsilon = 1E-08, WeightDecay = 0.045, VarianceClip = 5, GradientClip = 4, Moments = Paper16 }, "
        + "TextLossWeight = 0.125, AverageEvery = 25, AverageDecay = 0.99, "
        + "BpeDropout = 0.1, CaptionDropout = 0, StartFromCodebook = False, Recompute = True, Precision = BFloat16 }",
        Preset.Find(name).PriorTraining.ToString());

    // The paper does not say how its contrastive model was trained: this is CLIP's table 18.
    [Theory]
    [MemberData(nameof(PaperNames))]
    public void RerankerOfAPaperPreset_IsTrainedAsClip(string name) => Assert.Equal(
        "RerankerTraining { "
        + "Updates = 390000, BatchSize = 32768, LearningRate = 0.0005, WarmUp = 2000, "
        + "Optimizer = AdamWConfig { Beta1 = 0.9, Beta2 = 0.98, Epsilon = 1E-06, WeightDecay = 0.2, VarianceClip = Infinity, GradientClip = Infinity, Moments = Float32 }, "
        + "AverageDecay = 0.999, Recompute = True, Precision = BFloat16 }",
        Preset.Find(name).RerankerTraining!.ToString());

    [Theory]
    [InlineData("dalle-12b", 3968, 62, 896)]
    [InlineData("dalle-5.6b", 2688, 42, 640)]
    [InlineData("dalle-2.8b", 1920, 30, 512)]
    public void NetworksOfAPaperPreset_AreThePapers(string name, int width, int heads, int compressionRank)
    {
        Assert.Equal(compressionRank, Preset.Find(name).CompressionRank);
        var (vae, prior) = (Preset.Find(name).DiscreteVae, Preset.Find(name).Transformer);

        Assert.Equal((256, 32, 8192, 2, 128), (vae.ImageSize, vae.GridSize, vae.CodebookSize, vae.BlocksPerGroup, vae.CodeWidth));
        Assert.Equal([256, 512, 1024, 2048], vae.GroupWidths);
        Assert.Equal((1.0 / 64, 1, 1), (vae.ResidualGain, vae.LogitGain, vae.CodeGain));
        Assert.Equal((64, width, heads, 11), (prior.Layers, prior.Width, prior.Heads, prior.ConvolutionKernel));
        Assert.Equal((256, 16_384, 32, 8192), (prior.TextLength, prior.TextVocabulary, prior.GridSize, prior.ImageVocabulary));
        Assert.Equal((0.02, 0.02), (prior.EmbeddingDeviation, prior.UnembeddingDeviation));
    }

    [Theory]
    [MemberData(nameof(PaperNames))]
    public void PicturesOfAPaperPreset_AreDrawnFromTheWholeDistribution(string name) =>
        Assert.Equal(new SamplingSettings(Temperature: 1, TopK: null, TopP: null, Guidance: 1), Preset.Find(name).Sampling);
}
