using System.CommandLine;
using System.Security.Cryptography;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary>What all commands that draw have in common: how pictures are sampled, where they go, and how they are shown.</summary>
internal sealed class DrawingCommand
{
    /// <summary>Partial pictures asked for while streaming: enough to see it paint, few enough that decoding them costs little.</summary>
    private const int StreamedPictures = 4;

    private readonly Option<int> _candidates =
        new Option<int>("-n", "--candidates") { Description = "Pictures to draw.", HelpName = "N", DefaultValueFactory = _ => 4 }.Within(1, 64);

    private readonly Option<int?> _bestOf = new Option<int?>("--best-of")
    {
        Description = "Pictures to draw in all, of which the best are kept, as the model's reranker finds. Default: no more than are kept.", HelpName = "N",
    }.Within(1, 64);

    private readonly Option<ulong?> _seed = new("--seed") { Description = "The same seed gives the same pictures. Default: a new one, which is printed.", HelpName = "N" };
    private readonly Option<DirectoryInfo> _folder = new("--out") { Description = "Folder for the PNG files.", HelpName = "DIR", DefaultValueFactory = _ => new(".") };
    private readonly Option<string?> _model = new("--model") { Description = "Name of a published model. Default: the newest.", HelpName = "NAME" };

    private readonly Option<double?> _temperature =
        new Option<double?>("--temperature") { Description = "Sampling temperature. Default: the preset's.", HelpName = "T" }.Within(0.01, 100);

    private readonly Option<int?> _topK = new Option<int?>("--top-k") { Description = "Draw only from the k most likely tokens. Default: the preset's.", HelpName = "K" }.AtLeast(1);

    private readonly Option<double?> _topP =
        new Option<double?>("--top-p") { Description = "Draw only from the most likely tokens up to this probability. Default: the preset's.", HelpName = "P" }.Within(0.001, 1);

    private readonly Option<double?> _guidance =
        new Option<double?>("--guidance") { Description = "Classifier-free guidance, 1 for none. Default: the preset's.", HelpName = "W" }.Within(0, 100);

    private readonly Option<bool> _stream = new("--stream") { Description = "Show the pictures while they are painted (with --json: every event as a line)." };

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_candidates, _bestOf, _seed, _folder, _model, _temperature, _topK, _topP, _guidance, _stream])
        {
            command.Add(option);
        }
    }

    /// <summary>Draws.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="prompt">What the pictures show.</param>
    /// <param name="completion">The picture to go on from, once the model is known; null for whole pictures.</param>
    /// <param name="cancellationToken">Stops drawing.</param>
    public async Task<int> Run(ParseResult parsed, string prompt, Func<ModelManifest, PictureToComplete>? completion, CancellationToken cancellationToken)
    {
        var context = CommandContext.Of(parsed);
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var model = parsed.GetValue(_model) is { } name ? await cluster.Client.GetModel(name, cancellationToken) : await NewestModel(context, cluster, cancellationToken);
        var stream = parsed.GetValue(_stream);
        var request = new GenerationRequest
        {
            Model = model.Name,
            Prompt = prompt,
            Candidates = parsed.GetValue(_bestOf) is { } all ? Math.Max(all, parsed.GetValue(_candidates)) : parsed.GetValue(_candidates),
            Keep = parsed.GetValue(_bestOf) is null ? null : parsed.GetValue(_candidates),
            Seed = parsed.GetValue(_seed) ?? (ulong)RandomNumberGenerator.GetInt32(int.MaxValue),
            Temperature = parsed.GetValue(_temperature),
            TopK = parsed.GetValue(_topK),
            TopP = parsed.GetValue(_topP),
            Guidance = parsed.GetValue(_guidance),
            PartialPictures = stream ? StreamedPictures : 0,
            Completion = completion?.Invoke(model),
        };
        return await Draw(context, cluster, request, parsed.GetRequiredValue(_folder).FullName, stream, cancellationToken);
    }

    private static async Task<ModelManifest> NewestModel(CommandContext context, ClusterConnection cluster, CancellationToken cancellationToken) =>
        await cluster.Client.ListModels(cancellationToken) is [var newest, ..]
            ? newest
            : throw new CommandException($"No model is published in {context.DataDirectory}. Train one first: {context.CommandFor("train --preset tiny --data scenes --model tiny")}");

    private static async Task<int> Draw(
        CommandContext context, ClusterConnection cluster, GenerationRequest request, string folder, bool stream, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var board = new PictureBoard(request.Candidates);
        var pictures = new SortedDictionary<int, PictureCompleted>();
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
                        pictures[picture.Candidate] = picture;
                        if (request.Keep is null)
                        {
                            await File.WriteAllBytesAsync(FileOf(picture.Candidate), picture.Png, cancellationToken);
                        }

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
        var kept = (completed?.Kept ?? [.. pictures.Keys]).Select(candidate => (Picture: pictures[candidate], File: FileOf(candidate))).ToArray();
        foreach (var (picture, file) in request.Keep is null ? [] : kept)
        {
            await File.WriteAllBytesAsync(file, picture.Png, cancellationToken);
        }

        if (!stream)
        {
            context.Terminal.WriteJson(new
            {
                request.Model,
                request.Prompt,
                request.Seed,
                completed?.Seconds,
                Images = kept.Select(entry => new { entry.Picture.Candidate, entry.File, entry.Picture.Score }),
            });
        }

        foreach (var (picture, file) in kept)
        {
            context.Terminal.SayLine(picture.Score is { } score ? FormattableString.Invariant($"{file}  {score:f3}") : file);
        }

        context.Terminal.SayLine($"{request.Model}, seed {request.Seed}, {Figures.Duration(TimeSpan.FromSeconds(completed?.Seconds ?? 0))}");
        return ExitCodes.Success;

        string FileOf(int candidate) => Path.Combine(folder, $"{PictureNames.Of(request.Prompt)}-{request.Seed}-{candidate}.png");
    }
}
