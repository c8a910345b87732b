using Dalle.Cli.Hosting;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;

namespace Dalle.Cli.Evaluation;

/// <summary>A caption and what was drawn for it.</summary>
/// <param name="Caption">The caption.</param>
/// <param name="First">The first picture: the one that there would be if no more had been drawn.</param>
/// <param name="Best">The picture that the model's reranker prefers; the first where only one was drawn.</param>
internal sealed record CaptionedPicture(string Caption, Picture First, Picture Best);

/// <summary>Draws pictures for each of many captions through generation sessions, many at once, so that the generators batch them.</summary>
/// <param name="client">The cluster.</param>
/// <param name="model">Name of a published model.</param>
/// <param name="seed">Caption i is drawn with seed + i.</param>
/// <param name="bestOf">Pictures of each caption, of which the reranker chooses.</param>
internal sealed class CaptionedPictures(DalleClient client, string model, ulong seed, int bestOf = 1)
{
    /// <summary>Sessions open at once.</summary>
    private const int Sessions = 64;

    /// <param name="captions">What the pictures are to show.</param>
    /// <param name="drawn">Told the number of captions done.</param>
    /// <param name="cancellationToken">Ends all sessions.</param>
    /// <returns>The pictures, in the order of their captions.</returns>
    public async Task<IReadOnlyList<CaptionedPicture>> Draw(IReadOnlyList<string> captions, Action<int> drawn, CancellationToken cancellationToken)
    {
        var pictures = new CaptionedPicture[captions.Count];
        var done = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = Sessions, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, captions.Count, options, async (i, token) =>
        {
            pictures[i] = await DrawOne(
                new GenerationRequest { Model = model, Prompt = captions[i], Seed = seed + (ulong)i, Candidates = bestOf, Keep = bestOf > 1 ? 1 : null }, token);
            drawn(Interlocked.Increment(ref done));
        });
        return pictures;
    }

    private async Task<CaptionedPicture> DrawOne(GenerationRequest request, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var files = new ReadOnlyMemory<byte>[request.Candidates];
                await foreach (var next in client.Generate(request, cancellationToken))
                {
                    if (next is PictureCompleted picture)
                    {
                        files[picture.Candidate] = picture.Png;
                    }
                    else if (next is GenerationCompleted { Kept: var kept })
                    {
                        return new(request.Prompt, PictureDecoder.Decode(files[0].Span), PictureDecoder.Decode(files[kept?[0] ?? 0].Span));
                    }
                }

                throw new CommandException($"The session for '{request.Prompt}' ended without a picture.");
            }
            catch (OverloadedException overloaded)
            {
                await Task.Delay(overloaded.RetryAfter, cancellationToken);
            }
        }
    }
}
