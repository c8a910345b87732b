using System.Numerics.Tensors;
using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>
/// Pictures being sampled together: call <see cref="Step"/> until it returns false, and between steps report rows, drop sequences, or stop.
/// </summary>
/// <remarks>Used on the sampler's thread, and disposed before the sampler.</remarks>
public sealed class SamplingRun : IDisposable
{
    private readonly IReadOnlyList<SequenceRequest> _requests;
    private readonly IDecoding _decoding;
    private readonly TokenSampler _sampler;
    private readonly int[][] _tokens;

    // A guided sequence is decoded twice, the second time after the blank caption; -1 for the others.
    private readonly int[] _blankOf;
    private readonly bool[] _dropped;
    private readonly int[] _fedSequences;
    private readonly int[] _fedTokens;
    private readonly float[] _guided;

    internal SamplingRun(TransformerConfig config, IDecoder decoder, IReadOnlyList<SequenceRequest> requests)
    {
        (_requests, Length) = (requests, config.ImageLength);
        _sampler = new(config.ImageVocabulary);
        _tokens = [.. requests.Select(_ => new int[Length])];
        _dropped = new bool[requests.Count];
        _guided = new float[config.ImageVocabulary];

        var captions = new List<int[]>();
        List<int> captionOf = [.. requests.Select(request => Caption(request.TextTokens))];
        _blankOf = [.. requests.Select(request => request.Settings.IsGuided ? Decoded(Caption([])) : -1)];
        _fedSequences = new int[captionOf.Count];
        _fedTokens = new int[captionOf.Count];
        _decoding = decoder.Start(captions, captionOf);

        int Caption(IReadOnlyList<int> tokens)
        {
            var known = captions.FindIndex(caption => caption.AsSpan().SequenceEqual([.. tokens]));
            if (known < 0)
            {
                captions.Add([.. tokens]);
            }

            return known < 0 ? captions.Count - 1 : known;
        }

        int Decoded(int caption)
        {
            captionOf.Add(caption);
            return captionOf.Count - 1;
        }
    }

    /// <summary>Number of pictures.</summary>
    public int Sequences => _requests.Count;

    /// <summary>Image tokens of a whole picture.</summary>
    public int Length { get; }

    /// <summary>Image tokens sampled so far, the same for every picture that was not dropped.</summary>
    public int Position { get; private set; }

    /// <summary>Samples the next token of every picture.</summary>
    /// <returns>False when there was none to sample: all are whole or dropped.</returns>
    public bool Step()
    {
        if (Position == Length || !_dropped.Contains(false))
        {
            return false;
        }

        if (Position > 0)
        {
            Feed();
        }

        for (var sequence = 0; sequence < Sequences; sequence++)
        {
            if (!_dropped[sequence])
            {
                _tokens[sequence][Position] = Next(sequence);
            }
        }

        Position++;
        return true;
    }

    /// <summary>The tokens of a picture so far, in raster order.</summary>
    public ReadOnlySpan<int> Tokens(int sequence) => _tokens[sequence].AsSpan(0, Position);

    /// <summary>Leaves a picture out from the next step on; its tokens mean nothing after that.</summary>
    public void Drop(int sequence) => _dropped[sequence] = true;

    /// <inheritdoc/>
    public void Dispose() => _decoding.Dispose();

    /// <summary>Appends the last tokens to their sequences.</summary>
    private void Feed()
    {
        var count = 0;
        for (var sequence = 0; sequence < Sequences; sequence++)
        {
            if (!_dropped[sequence])
            {
                Add(sequence, _tokens[sequence][Position - 1]);
                if (_blankOf[sequence] >= 0)
                {
                    Add(_blankOf[sequence], _tokens[sequence][Position - 1]);
                }
            }
        }

        _decoding.Step(_fedSequences.AsSpan(0, count), _fedTokens.AsSpan(0, count));

        void Add(int sequence, int token)
        {
            _fedSequences[count] = sequence;
            _fedTokens[count++] = token;
        }
    }

    private int Next(int sequence)
    {
        var request = _requests[sequence];
        if (Position < request.GivenTokens.Count)
        {
            return request.GivenTokens[Position];
        }

        var logits = _decoding.Logits(sequence);
        if (_blankOf[sequence] >= 0)
        {
            // blank + guidance * (prompted - blank)
            var blank = _decoding.Logits(_blankOf[sequence]);
            TensorPrimitives.Subtract(logits, blank, _guided);
            TensorPrimitives.MultiplyAdd(_guided, (float)request.Settings.Guidance, blank, _guided);
            logits = _guided;
        }

        return _sampler.Sample(logits, request.Settings, request.Seed, request.Candidate, Position);
    }
}
