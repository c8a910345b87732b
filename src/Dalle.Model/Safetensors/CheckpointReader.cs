using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>
/// An open checkpoint, to be read into any number of ordinals, whatever number wrote it: the rows of an array are those of ordinal 0, then those of ordinal 1, and so on.
/// What is not split is in the file of ordinal 0 alone, and read whole.
/// </summary>
/// <remarks>Not thread-safe. The state files stay open until it is disposed.</remarks>
public sealed class CheckpointReader : IDisposable
{
    private readonly string _folder;
    private readonly CheckpointSeal _seal;
    private readonly IReadOnlyList<SealedFile> _states;
    private readonly Dictionary<string, CheckpointArray> _arrays;

    private CheckpointReader(string folder, CheckpointSeal seal, IReadOnlyList<SealedFile> states)
    {
        (_folder, _seal, _states, _arrays) = (folder, seal, states, CheckpointArray.Join(states));
        OtherFiles = [.. seal.Files.Where(file => file.Ordinal is null).Select(file => file.Name)];
    }

    /// <summary>What is trained.</summary>
    public string Stage => _seal.Stage;

    /// <summary>Number of the next step, counted from 0.</summary>
    public int Step => _seal.Step;

    /// <summary>How many ordinals wrote it, at least 1.</summary>
    public int Ordinals => _states.Count;

    /// <summary>Names of its files besides the state files, in their order.</summary>
    public IReadOnlyList<string> OtherFiles { get; }

    /// <inheritdoc cref="Checkpoint.Open"/>
    internal static CheckpointReader Open(string folder, string stage, bool verifyAll)
    {
        var manifest = Path.Combine(folder, Checkpoint.ManifestFile);
        var seal = CheckpointSeal.Read(manifest);
        if (seal.Stage != stage)
        {
            throw new SafetensorsException(manifest, $"expected a checkpoint of stage '{stage}', got one of '{seal.Stage}'.");
        }

        var states = new List<SealedFile>();
        try
        {
            foreach (var file in seal.Files.OrderBy(file => file.Ordinal ?? int.MaxValue))
            {
                var opened = SealedFile.Open(folder, file, seal.Step, verifyAll);
                if (file.Ordinal is null)
                {
                    opened.Dispose();
                }
                else
                {
                    states.Add(opened);
                }
            }

            return new(folder, seal, states);
        }
        catch
        {
            states.ForEach(state => state.Dispose());
            throw;
        }
    }

    /// <summary>Reads an array, or some rows of it. Nothing is written to the target unless all agrees.</summary>
    /// <param name="name">The array's key.</param>
    /// <param name="target">A contiguous tensor of the array's element type on any device: as many rows as are wanted, of the array's other dimensions.</param>
    /// <param name="firstRow">The row of the array that the target begins with, counted from 0; null if the target is the whole array, which may then be without dimensions.</param>
    /// <exception cref="SafetensorsException">There is no such array, it has other rows or another element type, or its files were altered.</exception>
    /// <exception cref="ArgumentException">The target's memory is not contiguous, or the first row is negative.</exception>
    public void ReadInto(string name, Tensor target, long? firstRow = null) => Read([new(name, target, firstRow)], unexpected: []);

    /// <summary>Reads all arrays, of each what the target of its name asks for. Nothing is written to any target unless all agrees.</summary>
    /// <param name="targets">One for each array of the checkpoint.</param>
    /// <exception cref="SafetensorsException">Arrays are missing, too many, of other rows or of another element type, and all of them are named; or files that have to be read were altered.</exception>
    /// <exception cref="ArgumentException">An array has two targets, or one that is not contiguous or begins with a negative row.</exception>
    public void ReadAllInto(IEnumerable<CheckpointTarget> targets)
    {
        var wanted = targets.ToDictionary(target => target.Name, StringComparer.Ordinal);
        Read(wanted.Values, _arrays.Keys.Where(name => !wanted.ContainsKey(name)).Select(name => $"'{name}' is not expected"));
    }

    /// <summary>Opens one of <see cref="OtherFiles"/> and verifies all its bytes. The caller disposes it.</summary>
    /// <exception cref="SafetensorsException">The checkpoint has no such file, or it was altered.</exception>
    public SafetensorsFile OpenFile(string name)
    {
        var file = OtherFiles.Contains(name, StringComparer.Ordinal)
            ? _seal.Files.First(file => file.Name == name)
            : throw new SafetensorsException(_folder, $"expected a file '{name}' besides those of the state, got {(OtherFiles is [] ? "none" : string.Join(", ", OtherFiles.Take(8)))}.");
        return SealedFile.Open(_folder, file, Step, verify: true).Tensors;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var state in _states)
        {
            state.Dispose();
        }
    }

    private void Read(IReadOnlyCollection<CheckpointTarget> targets, IEnumerable<string> unexpected)
    {
        foreach (var target in targets)
        {
            target.Validate();
        }

        string? Problem(CheckpointTarget target) => _arrays.TryGetValue(target.Name, out var array) ? array.Problem(target) : $"'{target.Name}' is missing";
        var problems = targets.Select(Problem).OfType<string>().Concat(unexpected).ToList();
        if (problems.Count > 0)
        {
            throw SafetensorsException.OfAnotherNetwork(_folder, "checkpoint", problems);
        }

        var reads = targets.SelectMany(target => _arrays[target.Name].Reads(target)).ToLookup(read => read.Ordinal);
        foreach (var ordinal in reads)
        {
            _states[ordinal.Key].Verify();
        }

        using var untracked = no_grad();
        foreach (var ordinal in reads)
        {
            // In the order of the file's bytes.
            var tensors = _states[ordinal.Key].Tensors;
            foreach (var read in ordinal.OrderBy(read => tensors[read.Target.Name].Begin))
            {
                read.From(tensors);
            }
        }
    }
}
