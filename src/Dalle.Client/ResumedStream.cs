using System.Runtime.CompilerServices;

namespace Dalle.Client;

/// <summary>A numbered stream that is asked for again, from the last number seen, when its silo is lost.</summary>
internal static class ResumedStream
{
    /// <summary>Losses in a row, without an event in between, after which the stream gives up.</summary>
    private const int MaxLosses = 5;

    public static async IAsyncEnumerable<T> Read<T>(
        Func<long, IAsyncEnumerable<T>> open, Func<T, long> numberOf, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var losses = 0;
        while (true)
        {
            await using var events = open(after).GetAsyncEnumerator(cancellationToken);
            while (await Next(events))
            {
                (after, losses) = (numberOf(events.Current), 0);
                yield return events.Current;
            }

            if (losses == 0)
            {
                yield break;
            }
        }

        async Task<bool> Next(IAsyncEnumerator<T> events)
        {
            try
            {
                if (await events.MoveNextAsync())
                {
                    return true;
                }

                losses = 0;
                return false;
            }
            catch (Exception lost) when (lost is SiloUnavailableException or EnumerationAbortedException or TimeoutException && ++losses <= MaxLosses)
            {
                return false;
            }
        }
    }
}
