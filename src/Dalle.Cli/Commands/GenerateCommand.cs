using System.CommandLine;
using System.Security.Cryptography;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle generate</c>: pictures for a prompt, through a generation session.</summary>
internal static class GenerateCommand
{
    /// <summary>Partial pictures asked for while streaming: enough to see it paint, few enough that decoding them costs little.</summary>
    private const int StreamedPictures = 4;

    public static Command Create()
    {
        var prompt = new Argument<string>("prompt") { Description = "What the pictures show." };
        var candidates = new Option<int>("-n", "--candidates") { Description = "Pictures to draw.", HelpName = "N", DefaultValueFactory = _ => 4 }.Within(1, 64);
        var seed = new Option<ulong?>("--seed") { Description = "The same seed gives the same pictures. Default: a new one, which is printed.", HelpName = "N" };
        var folder = new Option<DirectoryInfo>("--out") { Description = "Folder for the PNG files.", HelpName = "DIR", DefaultValueFactory = _ => new(".") };
        var model = new Option<string?>("--model") { Description = "Name of a published model. Default: the newest.", HelpName = "NAME" };
        var temperature = new Option<double?>("--temperature") { Description = "Sampling temperature. Default: the preset's.", HelpName = "T" }.Within(0.01, 100);
        var topK = new Option<int?>("--top-k") { Description = "Draw only from the k most likely tokens. Default: the preset's.", HelpName = "K" }.AtLeast(1);
        var topP = new Option<double?>("--top-p") { Description = "Draw only from the most likely tokens up to this probability. Default: the preset's.", HelpName = "P" }.Within(0.001, 1);
        var guidance = new Option<double?>("--guidance") { Description = "Classifier-free guidance, 1 for none. Default: the preset's.", HelpName = "W" }.Within(0, 100);
        var stream = new Option<bool>("--stream") { Description = "Show the pictures while they are painted (with --json: every event as a line)." };
        var command = new Command("generate", "Draw pictures for a prompt.") { prompt, candidates, seed, folder, model, temperature, topK, topP, guidance, stream };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            var request = new GenerationRequest
            {
                Model = parsed.GetValue(model) ?? await NewestModel(context, cluster, cancellationToken),
                Prompt = parsed.GetRequiredValue(prompt),
                Candidates = parsed.GetValue(candidates),
                Seed = parsed.GetValue(seed) ?? (ulong)RandomNumberGenerator.GetInt32(int.MaxValue),
                Temperature = parsed.GetValue(temperature),
                TopK = parsed.GetValue(topK),
                TopP = parsed.GetValue(topP),
                Guidance = parsed.GetValue(guidance),
                PartialPictures = parsed.GetValue(stream) ? StreamedPictures : 0,
            };
            return await Run(context, cluster, request, parsed.GetRequiredValue(folder).FullName, parsed.GetValue(stream), cancellationToken);
        });
        return command;
    }

    private static async Task<string> NewestModel(CommandContext context, ClusterConnection cluster, CancellationToken cancellationToken) =>
        await cluster.Client.ListModels(cancellationToken) is [var newest, ..]
            ? newest.Name
            : throw new CommandException($"No model is published in {context.DataDirectory}. Train one first: {context.CommandFor("train --preset tiny --data scenes --model tiny")}");

    private static async Task<int> Run(
        CommandContext context, ClusterConnection cluster, GenerationRequest request, string folder, bool stream, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var board = new PictureBoard(request.Candidates);
        var files = new SortedDictionary<int, string>();
        GenerationCompleted? completed = null;
        await board.Show(context.Terminal, stream, async redraw =>
        {
            await foreach (var next in cluster.Client.Generate(request, cancellationToken))
            {
                if (stream)
                {
                    context.Terminal.WriteJsonLine(next);
                }

                switch (next)
                {
                    case PartialPicture partial:
                        redraw(partial.Candidate, PictureDecoder.Decode(partial.Png.Span));
                        break;
                    case PictureCompleted picture:
                        files[picture.Candidate] = Path.Combine(folder, $"{PictureNames.Of(request.Prompt)}-{request.Seed}-{picture.Candidate}.png");
                        await File.WriteAllBytesAsync(files[picture.Candidate], picture.Png, cancellationToken);
                        redraw(picture.Candidate, PictureDecoder.Decode(picture.Png.Span));
                        break;
                    case GenerationCompleted end:
                        completed = end;
                        break;
                    default:
                        break;
                }
            }
        });
        if (!stream)
        {
            context.Terminal.WriteJson(new
            {
                request.Model,
                request.Prompt,
                request.Seed,
                completed?.Seconds,
                Images = files.Select(file => new { Candidate = file.Key, File = file.Value }),
            });
        }

        foreach (var file in files.Values)
        {
            context.Terminal.SayLine(file);
        }

        context.Terminal.SayLine($"{request.Model}, seed {request.Seed}, {Figures.Duration(TimeSpan.FromSeconds(completed?.Seconds ?? 0))}");
        return ExitCodes.Success;
    }
}
