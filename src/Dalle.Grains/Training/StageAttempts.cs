using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>Counts tries of a stage that began with the same state and failed: a job that gets no further is not tried for ever.</summary>
/// <param name="most">Tries that fail before the job does.</param>
internal sealed class StageAttempts(int most)
{
    private (TrainingStage Stage, int Step)? _from;

    /// <summary>Tries from this state that failed.</summary>
    public int Count { get; private set; }

    /// <summary>Why the job is to fail, in one line; null while it may be tried again.</summary>
    public string? Failure { get; private set; }

    /// <summary>A try begins. How many updates the one before has done is no measure, only what it has kept of them.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="step">Updates done in the state it begins with.</param>
    public void Begin(TrainingStage stage, int step)
    {
        if (_from != (stage, step))
        {
            (_from, Count) = ((stage, step), 0);
        }
    }

    /// <summary>The try failed, or could not begin.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="step">Updates done in the newest checkpoint: one that the try has written itself is a state of its own.</param>
    /// <param name="reason">One line for people.</param>
    public void Failed(TrainingStage stage, int step, string reason)
    {
        if (_from is not { } from || from.Stage != stage || from.Step < step)
        {
            Begin(stage, step);
        }

        Count++;
        if (Count >= most)
        {
            Failure ??= $"{stage} was tried {Count} times without progress: {reason}";
        }
    }
}
