using System.CommandLine;
using Dalle.Cli.Evaluation;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts;
using Dalle.Contracts.Models;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle eval</c>: figures of a model, with the protocol they were taken by.</summary>
internal static class EvalCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "Name of a published model." };
        var captions = new Option<int>("--captions") { Description = "Captions of each kind, held-out and seen.", HelpName = "N", DefaultValueFactory = _ => 200 }.Within(1, 100_000);
        var bestOf = new Option<int>("--best-of")
        {
            Description = "Pictures of each caption, of which the model's reranker chooses the best, which is measured beside the first.", HelpName = "N", DefaultValueFactory = _ => 1,
        }.Within(1, 64);
        var eightBit = new Option<bool>("--eight-bit") { Description = "Measure as well what 8-bit weights would change (DALLE_GENERATOR__WEIGHTS=EightBit)." };
        var scenes = new Option<bool>("--scenes") { Description = "Evaluate as a model of scenes, whatever it was trained on (imported models do not say)." };
        var command = new Command("eval", "Measure a model: zero-shot accuracy for a model of scenes, the figures of its training for others.") { model, captions, bestOf, eightBit, scenes };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var manifest = await cluster.Client.GetModel(parsed.GetRequiredValue(model), cancellationToken);
            var ofScenes = parsed.GetValue(scenes) || await IsOfScenes(cluster, manifest, cancellationToken);
            if (!ofScenes && (parsed.GetValue(eightBit) || parsed.GetValue(bestOf) > 1))
            {
                throw new CommandException($"--best-of and --eight-bit measure what scenes show, and model '{manifest.Name}' was trained on others (--scenes if this is not so).");
            }

            return ofScenes
                ? await EvaluateScenes(context, cluster, manifest, parsed.GetValue(captions), parsed.GetValue(bestOf), parsed.GetValue(eightBit), cancellationToken)
                : ReportTraining(context, manifest);
        });
        return command;
    }

    private static async Task<bool> IsOfScenes(ClusterConnection cluster, ModelManifest model, CancellationToken cancellationToken)
    {
        if (model.JobId is null)
        {
            return false;
        }

        try
        {
            return (await cluster.Client.GetStatus(model.JobId, cancellationToken)).Spec.Dataset == "scenes";
        }
        catch (NotFoundException)
        {
            return false;
        }
    }

    private static async Task<int> EvaluateScenes(
        CommandContext context, ClusterConnection cluster, ModelManifest model, int captions, int bestOf, bool eightBit, CancellationToken cancellationToken)
    {
        const string Protocol = "the first picture of each caption, caption i with seed 1 + i, the preset's sampling settings; read from pixels; "
            + "right = count, colours, shapes and relation all right; held-out = one object of a colour-shape pair that training never showed; "
            + "best (where several are drawn) = the same of the picture that the reranker scores highest; "
            + "eightBit (where asked for) = the same drawn with 8-bit weights, and how often the next token behind the model's own is the same with them; "
            + "reranker (where the model has one) = mean cosine of picture and caption, and accuracy at 1 of finding each other in batches of at least 32 pairs, pairs of the same text counting as one another's";
        context.Terminal.SayLine($"Drawing {captions} held-out and {captions} seen captions with {model.Name} ...");
        var evaluation = await SceneEvaluation.Run(cluster, model, captions, bestOf, eightBit, context.Clock, _ => { }, cancellationToken);
        context.Terminal.WriteJson(new { Model = model.Name, Protocol, evaluation.ZeroShot, evaluation.Seen, evaluation.Seconds, evaluation.Reranker, evaluation.Best, evaluation.EightBit });
        context.Terminal.Say(SceneEvaluationTable.Of(evaluation));
        context.Terminal.SayLine($"Protocol: {Protocol}.");
        return ExitCodes.Success;
    }

    /// <summary>Another model has no captions with known answers here; what its training measured is all there is.</summary>
    private static int ReportTraining(CommandContext context, ModelManifest model)
    {
        if (model.Metrics.Count == 0)
        {
            throw new CommandException($"Model '{model.Name}' carries no figures of its training, and only models of scenes can be measured anew (--scenes if this is one).");
        }

        const string Protocol = "recorded when the model was trained: psnr, perplexity and codesInUse of reconstructions of held-out pictures from argmax codes "
            + "(trainingPsnr: of pictures it trained on, for its dataset held none out); losses and tokensPerSecond of the last update; rerankerLoss, imageToText and textToImage of held-out pairs in batches of at least 32, where there are as many";
        context.Terminal.WriteJson(new { Model = model.Name, Protocol, model.Metrics });
        var grid = new Grid().AddColumns(2);
        foreach (var (name, value) in model.Metrics.OrderBy(metric => metric.Key, StringComparer.Ordinal))
        {
            grid.AddRow(new Text(name, new Style(Color.Grey)), new Text(Figures.Loss(value)));
        }

        context.Terminal.Say(grid);
        context.Terminal.SayLine($"Protocol: {Protocol}.");
        return ExitCodes.Success;
    }
}
