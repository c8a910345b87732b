using Dalle.Contracts.Training;
using Microsoft.Extensions.Logging;

namespace Dalle.Workers.Training;

public sealed partial class WorkerGrain
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: begins {Stage}, epoch {Epoch}, workers {Workers}")]
    private static partial void LogBegins(ILogger logger, string jobId, TrainingStage stage, long epoch, WorkerHost workers);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: {Stage} has lost a peer in epoch {Epoch}: {Reason}")]
    private static partial void LogPeerLost(ILogger logger, string jobId, TrainingStage stage, long epoch, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId}: {Stage} cannot go on")]
    private static partial void LogFailed(ILogger logger, Exception error, string jobId, TrainingStage stage);
}
