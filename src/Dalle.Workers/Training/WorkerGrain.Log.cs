using Dalle.Contracts.Training;
using Microsoft.Extensions.Logging;

namespace Dalle.Workers.Training;

public sealed partial class WorkerGrain
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Worker}: begins {Stage}, lease {Epoch}")]
    private static partial void LogBegins(ILogger logger, WorkerId worker, TrainingStage stage, long epoch);

    [LoggerMessage(Level = LogLevel.Error, Message = "Worker {Worker}: {Stage} cannot go on")]
    private static partial void LogFailed(ILogger logger, Exception error, WorkerId worker, TrainingStage stage);
}
