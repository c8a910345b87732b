using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Model.Presets;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle train</c>: all stages on a dataset, to a published model.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var preset = new Option<string>("--preset") { Description = $"The networks and how they learn: {string.Join(", ", Preset.All.Select(known => known.Name))}.", HelpName = "NAME", Required = true }
            .OneOf(Preset.All.Select(known => known.Name));
        var dataset = new Option<string>("--data") { Description = "Folder written by 'dalle data import', or the built-in 'scenes'.", HelpName = "DIR", Required = true };
        var model = new Option<string>("--model") { Description = "Name to publish the model under.", HelpName = "NAME", Required = true };
        var seed = new Option<ulong>("--seed") { Description = "Seed of every random number of the job. Default: 0.", HelpName = "N" };
        var discreteVae = new Option<int?>("--dvae-updates") { Description = "Updates of the discrete VAE. Default: the preset's.", HelpName = "N" }.AtLeast(1);
        var prior = new Option<int?>("--prior-updates") { Description = "Updates of the prior. Default: the preset's.", HelpName = "N" }.AtLeast(1);
        var reranker = new Option<int?>("--reranker-updates")
        {
            Description = "Updates of the reranker, which scores how well pictures go with captions; 0 for none. Default: the preset's.", HelpName = "N",
        }.AtLeast(0);
        var checkpoint = new Option<int>("--checkpoint-every") { Description = "Updates from one checkpoint to the next.", HelpName = "N", DefaultValueFactory = _ => 500 }.AtLeast(1);
        var threads = new Option<int>("--threads") { Description = "Threads it computes with: part of what decides the weights to the last bit.", HelpName = "N", DefaultValueFactory = _ => 2 }.AtLeast(1);
        var replicas = new Option<int>("--replicas") { Description = "Copies of the parameters that share every batch. Part of the job: silos that come and go change nothing of what is computed.", HelpName = "N", DefaultValueFactory = _ => 1 }.AtLeast(1);
        var shards = new Option<int>("--shards") { Description = "Workers that share the parameters of each copy.", HelpName = "N", DefaultValueFactory = _ => 1 }.AtLeast(1);
        var rank = new Option<int?>("--compression-rank") { Description = "Rank that the prior's gradients are compressed to between replicas; 0 for no compression. Default: the preset's.", HelpName = "N" }.AtLeast(0);
        var recovery = new Option<RecoveryMode>("--recovery")
        {
            Description = "When a silo is lost with what compression had left out there: exact computes up to a second again, to the same bytes; continue goes on with what is left.", HelpName = "MODE",
        };
        var previews = new Option<DirectoryInfo?>("--previews") { Description = "Folder to keep what it shows while training in: reconstructions and drawn captions, a PNG for each evaluation.", HelpName = "DIR" };
        var detach = new Option<bool>("--detach") { Description = "Submit to the running silo and return." };
        var command = new Command("train", "Train a discrete VAE, a prior and a reranker on captioned pictures and publish the model.")
        {
            preset, dataset, model, seed, discreteVae, prior, reranker, checkpoint, threads, replicas, shards, rank, recovery, previews, detach,
        };
        command.SetAction((parsed, cancellationToken) => Run(
            CommandContext.Of(parsed),
            new TrainingSpec
            {
                Preset = parsed.GetRequiredValue(preset),
                Dataset = DatasetPath(parsed.GetRequiredValue(dataset)),
                Model = parsed.GetRequiredValue(model),
                Seed = parsed.GetValue(seed),
                DiscreteVaeUpdates = parsed.GetValue(discreteVae),
                PriorUpdates = parsed.GetValue(prior),
                RerankerUpdates = parsed.GetValue(reranker),
                CheckpointEvery = parsed.GetValue(checkpoint),
                ThreadsPerWorker = parsed.GetValue(threads),
                Replicas = parsed.GetValue(replicas),
                Shards = parsed.GetValue(shards),
                CompressionRank = parsed.GetValue(rank),
                Recovery = parsed.GetValue(recovery),
            },
            parsed.GetValue(previews)?.FullName,
            parsed.GetValue(detach),
            cancellationToken));
        return command;
    }

    private static async Task<int> Run(CommandContext context, TrainingSpec spec, string? previews, bool detach, CancellationToken cancellationToken)
    {
        if (detach && previews is not null)
        {
            throw new CommandException("--previews needs a command that stays to the end: leave out --detach, or use 'dalle jobs watch JOB --previews DIR'.");
        }

        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        if (detach && cluster.IsEmbedded)
        {
            throw new CommandException($"--detach needs a running silo, and none serves {context.DataDirectory}. Start one with 'dalle silo', or leave --detach out.");
        }

        var job = await cluster.Client.Submit(spec, cancellationToken);
        if (detach)
        {
            context.Terminal.WriteJson(new { job });
            context.Terminal.SayLine($"Job {job} submitted. Follow it with: {context.CommandFor($"jobs watch {job}")}");
            return ExitCodes.Success;
        }

        var status = await TrainingRun.Follow(context, cluster, job, TrainingRun.Title(spec), previews, cancellationToken);
        if (status.Phase == TrainingPhase.Completed)
        {
            context.Terminal.SayLine($"Draw with it: {context.CommandFor($"generate \"...\" --model {spec.Model}")}");
        }

        return ExitCodes.Success;
    }

    /// <summary>The silo may run in another folder, so a folder is named in full.</summary>
    internal static string DatasetPath(string dataset)
    {
        if (dataset == "scenes")
        {
            return dataset;
        }

        if (!Directory.Exists(dataset))
        {
            throw new CommandException($"No dataset at '{Path.GetFullPath(dataset)}'. Import one with 'dalle data import SOURCE --out DIR', or train on the built-in 'scenes'.");
        }

        // Refused here, in one line, rather than by a job that has begun.
        Dataset.Open(dataset).Dispose();
        return Path.GetFullPath(dataset);
    }
}
