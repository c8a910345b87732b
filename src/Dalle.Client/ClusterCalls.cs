using System.Runtime.CompilerServices;
using Dalle.Contracts;

namespace Dalle.Client;

/// <summary>Makes calls that never hang: the runtime's own timeout does not end a call whose silo was killed soon enough.</summary>
internal sealed class ClusterCalls(DalleClientOptions options, TimeProvider clock)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);

    /// <summary>Pause before a call that was rejected is made again: that costs next to nothing, and someone waits.</summary>
    private static readonly TimeSpan RejectedDelay = TimeSpan.FromMilliseconds(100);

    /// <summary>Calls to a silo that was lost are rejected until the others have taken it for dead; longer than they need for that.</summary>
    private static readonly TimeSpan RejectionsLast = TimeSpan.FromSeconds(6);

    public DalleClientOptions Options => options;

    public TimeProvider Clock => clock;

    /// <summary>One call within a deadline.</summary>
    /// <exception cref="TimeoutException">The cluster did not answer in time.</exception>
    /// <exception cref="ClusterUnavailableException">No silo takes the call.</exception>
    public async Task<T> Ask<T>(string what, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken, TimeSpan? within = null)
    {
        var deadline = within ?? options.CallTimeout;
        var begun = clock.GetTimestamp();
        var rejectedUntil = deadline < RejectionsLast ? deadline : RejectionsLast;
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        while (true)
        {
            try
            {
                var left = deadline - clock.GetElapsedTime(begun);
                return await call(leaving.Token).WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, clock, cancellationToken);
            }
            catch (TimeoutException error)
            {
                await leaving.CancelAsync();
                throw new TimeoutException($"{what}: the cluster did not answer within {deadline.TotalSeconds:0} s.", error);
            }
            catch (Exception error) when (IsRejected(error) && clock.GetElapsedTime(begun) + RejectedDelay < rejectedUntil)
            {
                await Task.Delay(RejectedDelay, clock, cancellationToken);
            }
            catch (Exception error) when (IsUnavailable(error))
            {
                throw Unavailable(what, error);
            }
        }
    }

    public Task Ask(string what, Func<CancellationToken, Task> call, CancellationToken cancellationToken, TimeSpan? within = null) => Ask(
        what,
        async token =>
        {
            await call(token);
            return true;
        },
        cancellationToken,
        within);

    /// <summary>A numbered stream that goes on after a cut: when it fails or falls silent it is opened again behind the last item received.</summary>
    /// <param name="what">Names the stream in errors.</param>
    /// <param name="probe">A question that shows whether the stream's source is alive.</param>
    /// <param name="open">Opens the stream behind a sequence number.</param>
    /// <param name="sequenceOf">An item's number; they grow.</param>
    /// <param name="after">Number of the last item already known.</param>
    /// <param name="silence">Silence after which it is opened again.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    public async IAsyncEnumerable<T> Follow<T>(
        string what, Func<CancellationToken, Task> probe,
        Func<long, CancellationToken, IAsyncEnumerable<T>> open, Func<T, long> sequenceOf, long after, TimeSpan silence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var failures = 0;
        while (true)
        {
            var pause = RetryDelay;
            using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var stream = open(after, leaving.Token).GetAsyncEnumerator(leaving.Token);
            try
            {
                while (await Next(stream) is { } moved)
                {
                    if (!moved)
                    {
                        yield break;
                    }

                    after = sequenceOf(stream.Current);
                    yield return stream.Current;
                }
            }
            finally
            {
                await leaving.CancelAsync();
                Abandon(stream);
            }

            await Task.Delay(pause, clock, cancellationToken);

            // Silence may be all there is to hear, or a silo that is gone: a question tells. One that is leaving, and has not said so to all, may refuse it.
            async Task<bool?> Probe()
            {
                try
                {
                    await Ask(what, probe, cancellationToken);
                    pause = TimeSpan.Zero;
                }
                catch (ClusterUnavailableException) when (++failures < options.StreamAttempts)
                {
                }

                return null;
            }

            // Whether there is a next item; null for a cut.
            async Task<bool?> Next(IAsyncEnumerator<T> from)
            {
                try
                {
                    var moved = await from.MoveNextAsync().AsTask().WaitAsync(silence, clock, cancellationToken);
                    failures = 0;
                    return moved;
                }
                catch (TimeoutException)
                {
                    return await Probe();
                }
                catch (Exception error) when (!cancellationToken.IsCancellationRequested && IsCut(error) && ++failures < options.StreamAttempts)
                {
                    return null;
                }
                catch (Exception error) when (IsUnavailable(error))
                {
                    throw Unavailable(what, error);
                }
            }
        }
    }

    /// <summary>Whether an error speaks of the connection or the silo, not of what was asked.</summary>
    private static bool IsCut(Exception error) => error is not (InvalidRequestException or NotFoundException or OverloadedException or GenerationFailedException);

    /// <summary>Whether a call has not reached its silo, so that nothing came of it and it may be made again.</summary>
    private static bool IsRejected(Exception error) => error is OrleansMessageRejectionException and not SiloUnavailableException;

    /// <summary>Whether no silo took a call. Where none that is left offers the grain, Orleans' error has no type of its own, only its words.</summary>
    private static bool IsUnavailable(Exception error) =>
        error is OrleansException || (error is ArgumentException && error.Message.StartsWith("Could not find an implementation for interface", StringComparison.Ordinal));

    private static ClusterUnavailableException Unavailable(string what, Exception error) =>
        new($"{what}: no silo of the cluster takes calls; it may be stopping. Try again, or start one with 'dalle silo'.", error);

    /// <summary>Disposes a stream without waiting for it: its silo may be gone.</summary>
    private static void Abandon<T>(IAsyncEnumerator<T> stream) => _ = Task.Run(async () =>
    {
        try
        {
            await stream.DisposeAsync();
        }
        catch (Exception)
        {
            // The other side ends the stream by itself.
        }
    });
}
