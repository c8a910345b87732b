using System.Globalization;

namespace Dalle.Contracts.Training;

/// <summary>One logical worker of a job: the grain key <c>job/replica/ordinal</c>.</summary>
public readonly record struct WorkerId
{
    /// <exception cref="InvalidRequestException">The job is no name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Replica or ordinal is negative.</exception>
    public WorkerId(string job, int replica, int ordinal)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(replica);
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        (Job, Replica, Ordinal) = (Names.Check(job, "job"), replica, ordinal);
    }

    /// <summary>The job it works for.</summary>
    public string Job { get; }

    /// <summary>The replica it belongs to, counted from 0.</summary>
    public int Replica { get; }

    /// <summary>Its place in the replica, counted from 0.</summary>
    public int Ordinal { get; }

    /// <summary>Reads a grain key.</summary>
    /// <exception cref="FormatException">It is not a worker's key.</exception>
    public static WorkerId Parse(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return key.Split('/') is [var job, var replica, var ordinal] && Names.IsValid(job) && Number(replica) is { } r && Number(ordinal) is { } o
            ? new(job, r, o)
            : throw new FormatException($"'{key}' is not a worker's key; expected 'job/replica/ordinal'.");
    }

    /// <summary>The grain key.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Job}/{Replica}/{Ordinal}");

    private static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
