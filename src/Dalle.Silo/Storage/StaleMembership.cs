using Microsoft.Extensions.Logging;

namespace Dalle.Silo.Storage;

/// <summary>
/// Declares the silo that was killed in this data folder dead before this one joins: the folder's lock proves it. Otherwise joining would wait
/// for the dead silo to answer.
/// </summary>
internal sealed partial class StaleMembership(DataFolder folder, IMembershipTable table, ILocalSiloDetails self, ILogger<StaleMembership> logger)
    : ILifecycleParticipant<ISiloLifecycle>
{
    public void Participate(ISiloLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(StaleMembership), ServiceLifecycleStage.First, Clear, _ => Leave());

    private async Task Clear(CancellationToken cancellationToken)
    {
        if (folder.PreviousOccupant is { } previous)
        {
            await DeclareDead(SiloAddress.FromParsableString(previous), cancellationToken);
        }

        folder.Occupy(self.SiloAddress.ToParsableString());
    }

    private Task Leave()
    {
        folder.Vacate();
        return Task.CompletedTask;
    }

    private async Task DeclareDead(SiloAddress previous, CancellationToken cancellationToken)
    {
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, cancellationToken);
        var members = await table.ReadAllAsync(cancellationToken);
        if (members.TryGet(previous) is not ({ Status: not SiloStatus.Dead } entry, var etag))
        {
            return;
        }

        entry.Status = SiloStatus.Dead;
        var cleared = await table.UpdateRowAsync(entry, etag, members.Version.Next(), cancellationToken);
        LogCleared(logger, previous, cleared);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Silo {Previous} was killed here; declared dead: {Cleared}")]
    private static partial void LogCleared(ILogger logger, SiloAddress previous, bool cleared);
}
