namespace Dalle.Contracts.Training;

/// <summary>A job on one silo: the key <c>job/silo</c> of the grains that compute and keep shards for it there.</summary>
public readonly record struct JobSilo
{
    /// <param name="job">The job.</param>
    /// <param name="silo">The silo's address, as <c>SiloAddress.ToParsableString()</c> writes it.</param>
    /// <exception cref="InvalidRequestException">The job is no name.</exception>
    /// <exception cref="ArgumentException">There is no silo.</exception>
    public JobSilo(string job, string silo)
    {
        ArgumentException.ThrowIfNullOrEmpty(silo);
        (Job, Silo) = (Names.Check(job, "job"), silo);
    }

    /// <summary>The job.</summary>
    public string Job { get; }

    /// <summary>The silo's address.</summary>
    public string Silo { get; }

    /// <summary>Reads a grain key.</summary>
    /// <exception cref="FormatException">It is not such a key.</exception>
    public static JobSilo Parse(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return key.Split('/') is [var job, { Length: > 0 } silo] && Names.IsValid(job)
            ? new(job, silo)
            : throw new FormatException($"'{key}' is not a key of a job on a silo; expected 'job/silo'.");
    }

    /// <summary>The grain key.</summary>
    public override string ToString() => $"{Job}/{Silo}";
}
