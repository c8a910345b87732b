using System.Numerics.Tensors;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

/// <summary>
/// Samples image tokens from the prior, many pictures at once, a token of each at a step. Pictures come (<see cref="TryAdmit"/>) and go between any two
/// steps and stand at different positions; a caption is read once for all its pictures, a few positions a step beside their tokens.
/// </summary>
/// <remarks>On the CPU it keeps its own copy of the weights, as they were when it was made. Used on one thread at a time.</remarks>
public sealed class Sampler : IDisposable
{
    private readonly TransformerConfig _config;
    private readonly IDecoder _decoder;
    private readonly TokenSampler _sampler;
    private readonly PromptCache _prompts;
    private readonly Stack<int> _slots;
    private readonly List<SampledSequence> _sequences = [];
    private readonly DecodeRow[] _rows;
    private readonly float[] _guided;

    /// <param name="config">The prior's shape.</param>
    /// <param name="parameters">Its weights; the caller disposes the store, which outlives the sampler unless it <see cref="HasOwnWeights"/>.</param>
    /// <param name="capacity">Sequences at one time; null for the default.</param>
    /// <param name="threads">Threads on the CPU; null for as many as libtorch uses on this thread. The result does not depend on it.</param>
    /// <param name="weights">How the weights of matrices are kept on the CPU.</param>
    /// <exception cref="ArgumentException">8-bit weights are wanted where they are not to be had: off the CPU, or for widths that do not fill vectors.</exception>
    public Sampler(
        TransformerConfig config, ParameterStore parameters, SamplerCapacity? capacity = null, int? threads = null, SamplingWeights weights = SamplingWeights.AsTrained)
        : this(config, NewDecoder(config, parameters, capacity ??= new(), threads, weights), capacity)
    {
    }

    internal Sampler(TransformerConfig config, IDecoder decoder, SamplerCapacity capacity)
    {
        (_config, _decoder, Slots) = (config, decoder, capacity.Slots);
        _sampler = new(config.ImageVocabulary);
        _prompts = new(capacity.Prompts, config.TextLength, config.ImageVocabulary);
        _slots = new(Enumerable.Range(0, Slots).Reverse());
        _rows = new DecodeRow[Slots + Math.Max(config.TextLength, decoder.TextRowsPerStep)];
        _guided = new float[config.ImageVocabulary];
    }

    /// <summary>Images it has room for; a guided one takes two.</summary>
    public int Slots { get; }

    /// <summary>Whether it has a copy of all weights, so that the store it was made from may go.</summary>
    public bool HasOwnWeights => _decoder is not TorchDecoder;

    /// <summary>Slots that are free.</summary>
    public int FreeSlots => _slots.Count;

    /// <summary>Image tokens so far, given ones included.</summary>
    public long Tokens { get; private set; }

    /// <summary>Captions that need not be read, because they were in the cache.</summary>
    public long PromptHits => _prompts.Hits;

    /// <summary>Captions that had to be read.</summary>
    public long PromptMisses => _prompts.Misses;

    /// <summary>Takes a picture in, to be sampled from the next step on.</summary>
    /// <returns>Null while too few slots are free.</returns>
    /// <exception cref="ArgumentException">The request's tokens or settings do not fit the prior.</exception>
    public SampledSequence? TryAdmit(SequenceRequest request)
    {
        Check(request);
        if (request.Slots > FreeSlots)
        {
            return null;
        }

        var sequence = new SampledSequence(
            request, _config.ImageLength, NewBranch(request.TextTokens), request.Settings.IsGuided ? NewBranch([]) : null, Leave);
        _sequences.Add(sequence);
        return sequence;

        SampledSequence.Branch NewBranch(IReadOnlyList<int> caption) => new(_prompts.Acquire(caption), _slots.Pop());
    }

    /// <summary>Samples the next token of every picture whose caption is read, and reads on in the captions that are not.</summary>
    /// <returns>False when there is nothing to do: all pictures are whole, or there are none.</returns>
    public bool Step()
    {
        var read = _prompts.Unread();
        var count = AddText(read);
        var texts = count;
        foreach (var sequence in _sequences)
        {
            if (sequence.Position > 0 && !sequence.IsWhole)
            {
                count = AddImage(sequence.Prompted, sequence, count);
                count = sequence.Blank is { } blank ? AddImage(blank, sequence, count) : count;
            }
        }

        if (count > 0)
        {
            _decoder.Step(_rows.AsSpan(0, count));
        }

        if (read is not null && _prompts.IsRead(read))
        {
            _decoder.Logits(texts - 1).CopyTo(read.Logits);
        }

        var sampled = false;
        foreach (var sequence in _sequences)
        {
            if (!sequence.IsWhole && IsRead(sequence))
            {
                sequence.Append(sequence.Given is var given and not SequenceRequest.Free ? given : Next(sequence));
                sampled = true;
                Tokens++;
            }
        }

        return sampled || count > 0;
    }

    /// <summary>Samples some pictures to their end, in order, as many at a time as there is room for.</summary>
    /// <returns>The tokens of each.</returns>
    /// <exception cref="ArgumentException">A request's tokens or settings do not fit the prior, or it takes more slots than there are.</exception>
    /// <exception cref="InvalidOperationException">Other pictures are being sampled.</exception>
    public int[][] SampleAll(IReadOnlyList<SequenceRequest> requests)
    {
        if (_sequences.Count > 0)
        {
            throw new InvalidOperationException($"Expected a sampler at rest, got one with {_sequences.Count} pictures.");
        }

        var tokens = new int[requests.Count][];
        var running = new List<(int Index, SampledSequence Sequence)>();
        for (var next = 0; next < requests.Count || running.Count > 0;)
        {
            while (next < requests.Count && TryAdmit(requests[next]) is { } sequence)
            {
                running.Add((next++, sequence));
            }

            if (running.Count == 0)
            {
                throw new ArgumentException($"Expected a request of at most {Slots} slots, got {requests[next].Slots} (request {next}).", nameof(requests));
            }

            Step();
            foreach (var (index, sequence) in running.Where(entry => entry.Sequence.IsWhole).ToArray())
            {
                tokens[index] = sequence.Tokens.ToArray();
                sequence.Dispose();
                running.Remove((index, sequence));
            }
        }

        return tokens;
    }

    /// <inheritdoc/>
    public void Dispose() => _decoder.Dispose();

    private static IDecoder NewDecoder(TransformerConfig config, ParameterStore parameters, SamplerCapacity capacity, int? threads, SamplingWeights weights)
    {
        if (parameters.Master.device_type == TorchSharp.DeviceType.CPU && PackedDecoder.Supports(config))
        {
            return PackedDecoder.Create(config, parameters, capacity, threads ?? get_num_threads(), weights);
        }

        return weights == SamplingWeights.AsTrained ? new TorchDecoder(config, parameters, capacity) : throw new ArgumentException(
            $"Expected a CPU and heads of a multiple of 16 components for 8-bit weights, got {parameters.Master.device_type} and {config.HeadWidth}; sample with weights as they are.", nameof(weights));
    }

    /// <summary>The next positions of a caption: all of them when nothing else waits for the step.</summary>
    private int AddText(CachedPrompt? prompt)
    {
        if (prompt is null)
        {
            return 0;
        }

        var idle = !_sequences.Exists(sequence => sequence.Position > 0 && !sequence.IsWhole);
        var end = idle ? _config.TextLength : Math.Min(_config.TextLength, prompt.Read + _decoder.TextRowsPerStep);
        var count = 0;
        for (; prompt.Read < end; prompt.Read++)
        {
            var token = prompt.Read < prompt.Tokens.Length ? prompt.Tokens[prompt.Read] : -1;
            _rows[count++] = new(prompt.Place, Slot: -1, prompt.Read, token, Predicts: prompt.Read == _config.TextLength - 1);
        }

        return count;
    }

    /// <summary>The last token, and whether what follows it is to be sampled.</summary>
    private int AddImage(SampledSequence.Branch branch, SampledSequence sequence, int row)
    {
        branch.Row = row;
        _rows[row] = new(branch.Prompt.Place, branch.Slot, sequence.Position - 1, sequence.Tokens[^1], Predicts: sequence.Given == SequenceRequest.Free);
        return row + 1;
    }

    private bool IsRead(SampledSequence sequence) => _prompts.IsRead(sequence.Prompted.Prompt) && (sequence.Blank is not { } blank || _prompts.IsRead(blank.Prompt));

    private int Next(SampledSequence sequence)
    {
        var request = sequence.Request;
        var logits = Logits(sequence.Prompted, sequence.Position);
        if (sequence.Blank is { } branch)
        {
            // blank + guidance * (prompted - blank)
            var blank = Logits(branch, sequence.Position);
            TensorPrimitives.Subtract(logits, blank, _guided);
            TensorPrimitives.MultiplyAdd(_guided, (float)request.Settings.Guidance, blank, _guided);
            logits = _guided;
        }

        return _sampler.Sample(logits, request.Settings, request.Seed, request.Candidate, sequence.Position);
    }

    private ReadOnlySpan<float> Logits(SampledSequence.Branch branch, int position) => position == 0 ? branch.Prompt.Logits : _decoder.Logits(branch.Row);

    private void Leave(SampledSequence sequence)
    {
        _sequences.Remove(sequence);
        foreach (var branch in (SampledSequence.Branch?[])[sequence.Prompted, sequence.Blank])
        {
            if (branch is not null)
            {
                _slots.Push(branch.Slot);
                _prompts.Release(branch.Prompt);
            }
        }
    }

    private void Check(SequenceRequest request)
    {
        request.Settings.Validate();
        CheckTokens(request.TextTokens, 0, _config.TextLength, _config.TextVocabulary, "text");
        CheckTokens(request.GivenTokens, SequenceRequest.Free, _config.ImageLength, _config.ImageVocabulary, "given image");

        void CheckTokens(IReadOnlyList<int> tokens, int least, int most, int vocabulary, string kind)
        {
            if (tokens.Count > most || tokens.Any(token => token < least || token >= vocabulary))
            {
                throw new ArgumentException(
                    $"Expected at most {most} {kind} tokens from {least} to {vocabulary - 1}, got {tokens.Count} from {tokens.Min()} to {tokens.Max()}.", nameof(request));
            }
        }
    }
}
