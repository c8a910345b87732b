using Dalle.Contracts.Training;

namespace Dalle.Cli.Rendering;

/// <summary>A job as plain lines, for terminals that cannot redraw and for log files: every stage and evaluation, and the steps between only now and then.</summary>
/// <param name="output">Where lines go.</param>
/// <param name="clock">Measures the pauses between step lines.</param>
/// <param name="interval">Time from one line of steps to the next, at least.</param>
internal sealed class TrainingLog(TextWriter output, TimeProvider clock, TimeSpan interval)
{
    private long? _lastStepLine;

    /// <summary>Writes the line of an event, if it has one that is due.</summary>
    /// <param name="progress">The job with the event taken in.</param>
    /// <param name="next">The event.</param>
    public void Write(TrainingProgress progress, TrainingEvent next)
    {
        if (next is StageStarted)
        {
            _lastStepLine = null;
        }

        var line = next switch
        {
            PhaseChanged { Phase: var phase, Reason: null } => $"job {LowerCase(phase)}",
            PhaseChanged { Phase: var phase, Reason: { } reason } => $"job {LowerCase(phase)}: {reason}",
            StageStarted { FromStep: > 0 } started => $"{StageNames.Of(started.Stage)} goes on from update {Figures.Count(started.FromStep)} of {Figures.Count(started.Updates)}",
            StageStarted started => $"{StageNames.Of(started.Stage)} started",
            StageCompleted completed => $"{StageNames.Of(completed.Stage)} done in {Figures.Duration(TimeSpan.FromSeconds(completed.Seconds))}",
            DiscreteVaeEvaluated evaluated => $"dvae {Figures.Count(evaluated.Step)}: {TrainingFigures.Of(evaluated)}",
            RerankerEvaluated evaluated => $"reranker {Figures.Count(evaluated.Step)}: {TrainingFigures.Of(evaluated)}",
            CheckpointSkipped skipped =>
                $"warning: the checkpoint of {StageNames.Of(skipped.Checkpoint.Stage)} {Figures.Count(skipped.Checkpoint.Step)} cannot be read, so an older one is taken: {skipped.Reason}",
            SampleReplaced replaced => $"warning: sample {replaced.Sample} cannot be read, sample {replaced.StandIn} stands in for it: {replaced.Reason}",
            WorkersPlaced placed => $"workers placed on {string.Join(", ", placed.Silos)} (epoch {placed.Epoch}), from update {Figures.Count(placed.FromStep)}: {placed.Cause}",
            ModelPublished published => $"model {published.Model} published",
            DiscreteVaeStepCompleted or PriorStepCompleted or RerankerStepCompleted or StageAdvanced when IsDue() => StepLine(progress),
            _ => null,
        };
        if (line is not null)
        {
            output.WriteLine(line);
            output.Flush();
        }
    }

    private static string LowerCase(TrainingPhase phase) => phase.ToString().ToLowerInvariant();

    private static string StepLine(TrainingProgress progress)
    {
        var figures = TrainingFigures.Of(progress) is { } found ? $"  {found}" : "";
        var remaining = progress.Remaining is { } time ? $"  {Figures.Duration(time)} left" : "";
        return $"{TrainingFigures.Position(progress)}{figures}{remaining}";
    }

    private bool IsDue()
    {
        if (_lastStepLine is { } last && clock.GetElapsedTime(last) < interval)
        {
            return false;
        }

        _lastStepLine = clock.GetTimestamp();
        return true;
    }
}
