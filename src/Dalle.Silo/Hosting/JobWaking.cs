using Dalle.Contracts.Training;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Dalle.Silo.Hosting;

/// <summary>Wakes the jobs that run: once the silo serves, those that ran when the cluster last stopped; and whenever another silo is gone, those that it drove.</summary>
/// <remarks>Their reminders would do so too, up to a minute later.</remarks>
internal sealed partial class JobWaking(IClusterMembershipService membership, IGrainFactory grains, IHostApplicationLifetime host, ILogger<JobWaking> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var started = new TaskCompletionSource();
        using var starting = host.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);
        var gone = Gone(membership.CurrentSnapshot);
        await Wake(stoppingToken);
        await foreach (var snapshot in membership.MembershipUpdates.WithCancellation(stoppingToken))
        {
            var now = Gone(snapshot);
            if (!now.IsSubsetOf(gone))
            {
                await Wake(stoppingToken);
            }

            gone = now;
        }
    }

    private static HashSet<SiloAddress> Gone(ClusterMembershipSnapshot snapshot) =>
        [.. snapshot.Members.Values.Where(member => member.Status == SiloStatus.Dead).Select(member => member.SiloAddress)];

    private async Task Wake(CancellationToken cancellationToken)
    {
        try
        {
            await grains.GetGrain<IClusterGrain>(0).WakeJobs(cancellationToken);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            LogNotWoken(logger, error);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Jobs could not be woken; their reminders will, within minutes")]
    private static partial void LogNotWoken(ILogger logger, Exception error);
}
