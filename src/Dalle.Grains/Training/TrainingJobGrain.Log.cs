using Dalle.Contracts.Training;
using Microsoft.Extensions.Logging;

namespace Dalle.Grains.Training;

internal sealed partial class TrainingJobGrain
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: started with preset {Preset} on {Dataset}")]
    private static partial void LogStarted(ILogger logger, string jobId, string preset, string dataset);

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: {Phase} ({Reason})")]
    private static partial void LogRests(ILogger logger, string jobId, TrainingPhase phase, string? reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: the checkpoint of {Stage} after {Step} updates cannot be read, so an older one is taken: {Reason}")]
    private static partial void LogCheckpointSkipped(ILogger logger, string jobId, TrainingStage stage, int step, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: a call of {Stage} could not be made, its silo cannot be reached")]
    private static partial void LogUnreached(ILogger logger, Exception unreached, string jobId, TrainingStage stage);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: the worker of {Stage} was lost, attempt {Attempt}")]
    private static partial void LogWorkerLost(ILogger logger, Exception lost, string jobId, TrainingStage stage, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: silo {Silo} was lost in epoch {Epoch}: {Reason}")]
    private static partial void LogPeerLost(ILogger logger, string jobId, string silo, long epoch, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: silo {Silo} has joined but cannot open what it needs, so it gets no workers")]
    private static partial void LogUnfit(ILogger logger, Exception reason, string jobId, string silo);

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: {Stage} goes on in epoch {Epoch} on {Silos} from step {Step}: {Cause} ({Seconds:0.00} s ago)")]
    private static partial void LogPlaced(ILogger logger, string jobId, TrainingStage stage, long epoch, string silos, int step, string cause, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: what is stored is newer than what this activation knows; it ends")]
    private static partial void LogStale(ILogger logger, Exception stale, string jobId);
}
