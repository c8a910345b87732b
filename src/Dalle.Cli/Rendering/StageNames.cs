using Dalle.Contracts.Training;

namespace Dalle.Cli.Rendering;

/// <summary>The stages in the words of the command line and of reports.</summary>
internal static class StageNames
{
    public static string Of(TrainingStage stage) => stage switch
    {
        TrainingStage.Prepare => "prepare",
        TrainingStage.Tokenizer => "tokenizer",
        TrainingStage.DiscreteVae => "dvae",
        TrainingStage.Encode => "encode",
        TrainingStage.Prior => "prior",
        TrainingStage.Reranker => "reranker",
        TrainingStage.Publish => "publish",
        _ => stage.ToString(),
    };
}
