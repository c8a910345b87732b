namespace Dalle.Contracts.Training;

/// <summary>The order that a job goes through its stages in, which is not that of their numbers: those are as old as the stages.</summary>
public static class TrainingStages
{
    /// <summary>All stages, the first one first.</summary>
    public static IReadOnlyList<TrainingStage> InOrder { get; } =
    [
        TrainingStage.Prepare, TrainingStage.Tokenizer, TrainingStage.DiscreteVae, TrainingStage.Encode, TrainingStage.Prior, TrainingStage.Reranker, TrainingStage.Publish,
    ];

    /// <summary>The stages of a job: the reranker's is left out of one that is to train none. (A job may learn only there that its preset has none: then the stage has nothing to do.)</summary>
    public static IEnumerable<TrainingStage> Of(TrainingSpec spec) => InOrder.Where(stage => stage != TrainingStage.Reranker || spec.RerankerUpdates != 0);

    /// <summary>The stage after one; null after the last.</summary>
    public static TrainingStage? After(TrainingStage stage, TrainingSpec spec) =>
        Of(spec).SkipWhile(next => next != stage).Skip(1).Cast<TrainingStage?>().FirstOrDefault();

    /// <summary>Whether a stage trains a network: all hosts of a job's workers run it together, in updates.</summary>
    public static bool Trains(this TrainingStage stage) => stage is TrainingStage.DiscreteVae or TrainingStage.Prior or TrainingStage.Reranker;
}
