using Dalle.Contracts.Training;

namespace Dalle.Cli.Rendering;

/// <summary>The figures of a stage in one line, for the live view and for plain lines alike.</summary>
internal static class TrainingFigures
{
    public static string Of(DiscreteVaeStepCompleted step, DiscreteVaeEvaluated? evaluated)
    {
        var line = $"loss {Figures.Loss(step.Loss)}  perplexity {Figures.Rate(step.Perplexity)}  {Figures.Rate(step.PicturesPerSecond)} pictures/s";
        return evaluated is null ? line : $"{line}  {Of(evaluated)}";
    }

    public static string Of(DiscreteVaeEvaluated evaluated) =>
        $"{(evaluated.OfTrainingPictures ? "training" : "held-out")} psnr {evaluated.Psnr.ToString("0.0", System.Globalization.CultureInfo.InvariantCulture)} dB  codes {evaluated.CodesInUse}/{evaluated.CodebookSize}";

    public static string Of(PriorStepCompleted step) =>
        $"loss {Figures.Loss(step.Loss)}  image {Figures.Loss(step.ImageLoss)}  text {Figures.Loss(step.TextLoss)}  {Figures.Rate(step.TokensPerSecond)} tokens/s";

    public static string Of(RerankerStepCompleted step, RerankerEvaluated? evaluated)
    {
        var line = $"loss {Figures.Loss(step.Loss)}  temperature {Figures.Loss(step.Temperature)}  {Figures.Rate(step.PairsPerSecond)} pairs/s";
        return evaluated is null ? line : $"{line}  {Of(evaluated)}";
    }

    public static string Of(RerankerEvaluated evaluated) =>
        $"{(evaluated.OfTrainingPictures ? "training" : "held-out")} pairs found among {evaluated.BatchSize}: text {Figures.Percent(evaluated.ImageToText)}  pictures {Figures.Percent(evaluated.TextToImage)}";

    /// <summary>The newest figures of the present stage; null where it has none.</summary>
    public static string? Of(TrainingProgress progress) => progress switch
    {
        { Stage: TrainingStage.DiscreteVae, DiscreteVae: { } step } => Of(step, progress.Reconstruction),
        { Stage: TrainingStage.Prior, Prior: { } step } => Of(step),
        { Stage: TrainingStage.Reranker, Reranker: { } step } => Of(step, progress.Retrieval),
        _ => null,
    };

    /// <summary>Where the present stage stands: <c>dvae 1,240/3,000 (41 %)</c>.</summary>
    public static string Position(TrainingProgress progress) => progress switch
    {
        { Stage: null } => "waiting",
        { Stage: { } stage, Share: { } share } => $"{StageNames.Of(stage)} {Figures.Count(progress.Done)}/{Figures.Count(progress.Total)} ({Figures.Percent(share)})",
        { Stage: { } stage, Done: > 0 } => $"{StageNames.Of(stage)} {Figures.Count(progress.Done)}",
        { Stage: { } stage } => StageNames.Of(stage),
    };
}
