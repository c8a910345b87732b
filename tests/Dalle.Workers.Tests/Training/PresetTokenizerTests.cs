using Dalle.Data.Scenes;
using Dalle.Data.Tokenization;
using Dalle.Model.Presets;

namespace Dalle.Workers.Tests.Training;

/// <summary>A preset's text length holds the captions of the dataset it is made for, as its own vocabulary spells them.</summary>
public sealed class PresetTokenizerTests
{
    [Theory]
    [InlineData("tiny")]
    [InlineData("tiny-full")]
    public void ScenesPreset_ReadsEveryCaptionWhole(string name)
    {
        var preset = Preset.Find(name);
        using var scenes = new SceneDataset(trainingCount: 4_000, evaluationCount: 0);
        var captions = Enumerable.Range(0, scenes.Count).SelectMany(scenes.GetCaptions).ToArray();
        var tokenizer = new TextTokenizer(BpeTrainer.Train(captions, preset.TokenizerVocabulary, TestContext.Current.CancellationToken));

        var longest = captions.Concat(ZeroShotCaptions.HeldOut(200)).Max(caption => tokenizer.Encode(caption).Count);

        Assert.InRange(longest, 1, preset.Transformer.TextLength);
    }
}
