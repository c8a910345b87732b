using System.Text.Json;

namespace Dalle.Model.Safetensors;

/// <summary>
/// The manifest of a checkpoint: what its files must be. It is written once they are all durable: a checkpoint without one was not written to its end.
/// Reading it believes nothing: what it names lies in its own folder, and neither its length nor what it says decides how much memory is taken.
/// </summary>
internal sealed record CheckpointSeal
{
    /// <summary>Most files.</summary>
    public const int MaxFiles = 65_536;

    private const int MaxStageLength = 64;

    /// <summary>Longest manifest that is read, in bytes: enough for <see cref="MaxFiles"/>, which take about 210 each with names of the greatest length.</summary>
    private const int MaxLength = 16 << 20;

    private static readonly JsonSerializerOptions Readable = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
    };

    /// <summary>What is trained.</summary>
    public required string Stage { get; init; }

    /// <summary>Number of the next step, counted from 0.</summary>
    public required int Step { get; init; }

    /// <summary>Its files, in the order of their names. Never empty, once read: a state of ordinal 0 is always among them.</summary>
    public IReadOnlyList<CheckpointFile> Files { get; init; } = [];

    /// <summary>Lets a manifest through that can be read again.</summary>
    /// <exception cref="ArgumentException">It breaks a rule.</exception>
    public void Validate()
    {
        if (Problem() is { } problem)
        {
            throw new ArgumentException($"A checkpoint cannot be sealed: {problem}");
        }
    }

    /// <summary>Writes it durably.</summary>
    public void Write(string manifest) => DurableFile.Write(manifest, stream => JsonSerializer.Serialize(stream, this, Readable));

    /// <summary>Reads and checks it.</summary>
    /// <exception cref="SafetensorsException">It is missing, cannot be read, or breaks a rule.</exception>
    public static CheckpointSeal Read(string manifest)
    {
        var seal = Parse(manifest);
        return seal.Problem() is { } problem ? throw new SafetensorsException(manifest, problem) : seal;
    }

    private static CheckpointSeal Parse(string manifest)
    {
        try
        {
            using var stream = File.OpenRead(manifest);
            if (stream.Length > MaxLength)
            {
                throw new SafetensorsException(manifest, $"expected the manifest of a checkpoint, of at most {MaxLength} bytes, got {stream.Length}.");
            }

            var json = new byte[stream.Length];
            stream.ReadExactly(json);
            return JsonSerializer.Deserialize<CheckpointSeal>(json, Readable) ?? throw new JsonException("It says 'null'.");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SafetensorsException(manifest, "expected the manifest of a checkpoint, got no file; the checkpoint was not written to its end.");
        }
        catch (JsonException error)
        {
            throw new SafetensorsException(manifest, $"expected the manifest of a checkpoint, got something else: {error.Message}");
        }
    }

    /// <summary>The first rule that it breaks, or null.</summary>
    private string? Problem()
    {
        if (Stage.Length is 0 or > MaxStageLength || Step < 0)
        {
            return $"expected a stage of 1 to {MaxStageLength} characters and a step from 0 on, got a stage of {Stage.Length} characters and step {Step}.";
        }

        // As a manifest reads that tells length and hash of the only file itself.
        if (Files is [])
        {
            return "expected a list 'files' of what the checkpoint consists of, got none; if an earlier version wrote it, go on with that version or start a new job.";
        }

        return Files.Count > MaxFiles ? $"expected at most {MaxFiles} files, got {Files.Count}." : FileProblem() ?? OrdinalProblem();
    }

    private string? FileProblem()
    {
        // Upper and lower case are the same on some file systems.
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        return Files.Select(file => file is null ? "expected files with name, size and sha256, got 'null' as one."
            : file.Problem() ?? (names.Add(file.Name) ? null : $"expected every file once, got '{file.Name}' twice.")).FirstOrDefault(problem => problem is not null);
    }

    private string? OrdinalProblem()
    {
        var ordinals = Files.Select(file => file.Ordinal).OfType<int>().ToHashSet();
        var missing = Enumerable.Range(0, ordinals.Count + 1).First(ordinal => !ordinals.Contains(ordinal));
        return missing == ordinals.Count && missing > 0
            ? null
            : $"expected the states of all ordinals from 0 on, got no '{CheckpointFile.StateName(missing)}'; each must be written and named before the manifest is.";
    }
}
