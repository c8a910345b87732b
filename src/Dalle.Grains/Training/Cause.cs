namespace Dalle.Grains.Training;

/// <summary>Why a membership epoch begins.</summary>
/// <param name="Reason">One line for people.</param>
/// <param name="Noticed">When it was noticed, as the clock's timestamp; null at the job's begin.</param>
/// <param name="Lost">Silos that have most likely ended.</param>
internal sealed record Cause(string Reason, long? Noticed, IReadOnlySet<string> Lost)
{
    private static readonly HashSet<string> None = [];

    /// <summary>The job was started, resumed or woken.</summary>
    public static Cause Begun { get; } = new("the job was begun", null, None);

    /// <summary>The stage before is done.</summary>
    public static Cause NextStage(TimeProvider clock) => new("the stage before is done", clock.GetTimestamp(), None);

    /// <summary>A silo leaves in good order.</summary>
    public static Cause Left(TimeProvider clock) => new("a silo leaves", clock.GetTimestamp(), None);

    /// <summary>A silo has joined the cluster.</summary>
    public static Cause Joined(TimeProvider clock) => new("a silo has joined", clock.GetTimestamp(), None);
}
