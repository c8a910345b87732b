using System.Diagnostics;
using Dalle.Client;
using Dalle.Contracts;
using Dalle.Contracts.Generation;

namespace Dalle.Benchmarks.Serving;

/// <summary>When a session's tokens came, in seconds. Tokens come in rows: those of a row are taken to be as far apart as the rows are, divided by its length.</summary>
/// <param name="FirstRow">From the request to the first row.</param>
/// <param name="BetweenTokens">From token to token, for each row after the first.</param>
/// <param name="Whole">From the request to the end.</param>
/// <param name="Tokens">Image tokens.</param>
internal sealed record TimedSession(double FirstRow, IReadOnlyList<double> BetweenTokens, double Whole, int Tokens)
{
    /// <summary>Runs a session.</summary>
    /// <returns>Null if it was refused for want of room.</returns>
    public static async Task<TimedSession?> TryRun(DalleClient client, GenerationRequest request)
    {
        var begun = Stopwatch.GetTimestamp();
        var rows = new List<double>();
        var (grid, tokens) = (0, 0);
        try
        {
            await foreach (var item in client.Generate(request))
            {
                switch (item)
                {
                    case GenerationStarted started:
                        grid = started.GridSize;
                        break;
                    case RowSampled { Candidate: 0 }:
                        rows.Add(Stopwatch.GetElapsedTime(begun).TotalSeconds);
                        break;
                    case GenerationCompleted completed:
                        tokens = completed.ImageTokens;
                        break;
                    default:
                        break;
                }
            }
        }
        catch (OverloadedException)
        {
            return null;
        }

        return new(rows[0], [.. rows.Zip(rows.Skip(1), (before, after) => (after - before) / grid)], Stopwatch.GetElapsedTime(begun).TotalSeconds, tokens);
    }

    public static async Task<TimedSession> Run(DalleClient client, GenerationRequest request) =>
        await TryRun(client, request) ?? throw new InvalidOperationException("The silo was to have room.");
}
