namespace Dalle.Collectives.Groups;

/// <summary>Which operation: the same on every rank, and used once in an epoch at a time.</summary>
/// <param name="Step">The job's step, or any number that counts up.</param>
/// <param name="Tag">The operation within the step, and the array it is about.</param>
public readonly record struct CollectiveKey(long Step, int Tag);
