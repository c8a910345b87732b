using Dalle.Contracts.Training;
using Dalle.Data.Tokenization;

namespace Dalle.Workers.Training;

/// <summary>Trains the BPE tokenizer on the training captions.</summary>
internal sealed class TokenizerStage : IStage
{
    public TrainingStage Stage => TrainingStage.Tokenizer;

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        using var dataset = context.OpenDataset();
        var captions = Enumerable.Range(0, dataset.TrainingCount).SelectMany(dataset.GetCaptions);
        var vocabulary = BpeTrainer.Train(captions, context.Preset.TokenizerVocabulary, cancellationToken);
        context.Folder.Store.Write(context.Folder.File(BpeVocabulary.TokensFile), vocabulary.WriteTokens);
        context.Folder.Store.Write(context.Folder.File(BpeVocabulary.MergesFile), vocabulary.WriteMerges);
        await context.Report(new StageAdvanced(Stage, vocabulary.Tokens.Count, vocabulary.Tokens.Count));
        return new DoneReport();
    }
}
