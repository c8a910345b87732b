using Dalle.Cli.Evaluation;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;
using Dalle.Data.Pictures;

namespace Dalle.Cli.Quickstart;

/// <summary>The whole system once, small: train all stages on scenes, draw four prompts, measure zero-shot accuracy, write it all down.</summary>
/// <param name="context">Its data folder is the quickstart's own.</param>
/// <param name="folder">Where pictures and the report go.</param>
/// <param name="spec">What is trained; see <see cref="SpecOf"/>.</param>
internal sealed class QuickstartRun(CommandContext context, string folder, TrainingSpec spec)
{
    /// <summary>Captions of each kind in the evaluation.</summary>
    private const int Captions = 200;

    /// <summary>The quickstart's training with a preset.</summary>
    public static TrainingSpec SpecOf(string preset) => new() { Preset = preset, Dataset = "scenes", Model = "quickstart", Seed = 1 };

    public async Task<int> Run(CancellationToken cancellationToken)
    {
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var status = await Train(cluster, cancellationToken);

        var began = context.Clock.GetTimestamp();
        var pictures = await new CaptionedPictures(cluster.Client, spec.Model, spec.Seed).Draw(QuickstartPrompts.All, _ => { }, cancellationToken);
        var generating = context.Clock.GetElapsedTime(began);
        var images = Write(pictures);

        context.Terminal.SayLine($"Drawing {Captions} held-out and {Captions} seen captions and reading the pictures ...");
        var evaluation = await SceneEvaluation.Run(cluster, await cluster.Client.GetModel(spec.Model, cancellationToken), Captions, bestOf: 1, eightBit: false, context.Clock, _ => { }, cancellationToken);
        context.Terminal.Say(SceneEvaluationTable.Of(evaluation));

        var report = Report(status, generating, evaluation, images);
        await File.WriteAllTextAsync(Path.Combine(folder, "report.json"), Terminal.ToJson(report) + "\n", cancellationToken);
        context.Terminal.WriteJsonLine(report);
        context.Terminal.SayLine($"{Figures.Duration(TimeSpan.FromSeconds(report.Seconds.Total))} in all. Pictures, contact-sheet.png and report.json are in {folder}.");
        context.Terminal.SayLine($"Draw more: {context.CommandFor("generate \"a small cyan triangle right of a large green square\"")}");
        return ExitCodes.Success;
    }

    private async Task<TrainingStatus> Train(ClusterConnection cluster, CancellationToken cancellationToken)
    {
        var job = await cluster.Client.Submit(spec, cancellationToken);
        var status = await TrainingRun.Follow(context, cluster, job, TrainingRun.Title(spec), previews: null, cancellationToken);
        return status.Phase == TrainingPhase.Completed
            ? status
            : throw new CommandException($"The quickstart's training was paused from elsewhere. Run the quickstart again, or go on with: {context.CommandFor($"jobs resume {job}")}");
    }

    private List<QuickstartImage> Write(IReadOnlyList<CaptionedPicture> pictures)
    {
        var images = pictures.Select((drawn, i) => new QuickstartImage(drawn.Caption, spec.Seed + (ulong)i, $"{PictureNames.Of(drawn.Caption)}.png")).ToList();
        var board = new PictureBoard(pictures.Count);
        for (var i = 0; i < images.Count; i++)
        {
            PngEncoder.Write(pictures[i].First, Path.Combine(folder, images[i].File));
            board.Put(i, pictures[i].First);
        }

        PngEncoder.Write(ContactSheet.Draw([.. pictures.Select(drawn => (drawn.First, (string?)drawn.Caption))]), Path.Combine(folder, "contact-sheet.png"));
        board.Write(context.Terminal);
        foreach (var image in images)
        {
            context.Terminal.SayLine($"{image.File}: {image.Prompt}");
        }

        return images;
    }

    private QuickstartReport Report(TrainingStatus status, TimeSpan generating, SceneEvaluation evaluation, IReadOnlyList<QuickstartImage> images) => new()
    {
        Preset = spec.Preset,
        Seconds = new StageSeconds(
            SinceProcessStart(),
            SecondsOf(status, TrainingStage.DiscreteVae),
            SecondsOf(status, TrainingStage.Encode),
            SecondsOf(status, TrainingStage.Prior),
            SecondsOf(status, TrainingStage.Reranker),
            generating.TotalSeconds,
            evaluation.Seconds),
        Dvae = status is { DiscreteVae: { } step, Reconstruction: { } held }
            ? new(step.Step, held.Psnr, held.Perplexity, held.CodesInUse)
            : throw new CommandException("The job completed without reporting on its discrete VAE."),
        Prior = status.Prior is { } prior
            ? new(prior.Step, prior.ImageLoss, prior.TextLoss, prior.TokensPerSecond)
            : throw new CommandException("The job completed without reporting on its prior."),
        Reranker = status is { Reranker: { } trained, Retrieval: { } found } ? new(trained.Step, found.ImageToText, found.TextToImage, found.BatchSize) : null,
        ZeroShot = evaluation.ZeroShot,
        Seen = evaluation.Seen,
        Images = images,
    };

    private static double SecondsOf(TrainingStatus status, TrainingStage stage) => status.StageSeconds.GetValueOrDefault(stage);

    private double SinceProcessStart()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return (context.Clock.GetUtcNow() - process.StartTime.ToUniversalTime()).TotalSeconds;
    }
}
