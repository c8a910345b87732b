using Dalle.Cli.Hosting;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;

namespace Dalle.Cli.Evaluation;

/// <summary>Draws one picture for each of many captions through generation sessions, many at once, so that the generators batch them.</summary>
/// <param name="client">The cluster.</param>
/// <param name="model">Name of a published model.</param>
/// <param name="seed">Caption i is drawn with seed + i.</param>
internal sealed class CaptionedPictures(DalleClient client, string model, ulong seed)
{
    /// <summary>Sessions open at once.</summary>
    private const int Sessions = 64;

    /// <param name="captions">One picture for each.</param>
    /// <param name="drawn">Told the number of pictures done.</param>
    /// <param name="cancellationToken">Ends all sessions.</param>
    /// <returns>The pictures, in the order of their captions.</returns>
    public async Task<IReadOnlyList<(string Caption, Picture Picture)>> Draw(IReadOnlyList<string> captions, Action<int> drawn, CancellationToken cancellationToken)
    {
        var pictures = new (string, Picture)[captions.Count];
        var done = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = Sessions, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, captions.Count, options, async (i, token) =>
        {
            pictures[i] = (captions[i], await DrawOne(new GenerationRequest { Model = model, Prompt = captions[i], Seed = seed + (ulong)i }, token));
            drawn(Interlocked.Increment(ref done));
        });
        return pictures;
    }

    private async Task<Picture> DrawOne(GenerationRequest request, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await foreach (var next in client.Generate(request, cancellationToken))
                {
                    if (next is PictureCompleted { Png: var png })
                    {
                        return PictureDecoder.Decode(png.Span);
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
