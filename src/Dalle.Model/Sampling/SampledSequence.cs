namespace Dalle.Model.Sampling;

/// <summary>A picture that a <see cref="Sampler"/> is at. Disposing it gives its slots back before the next step, whole or not.</summary>
/// <remarks>Used on the sampler's thread.</remarks>
public sealed class SampledSequence : IDisposable
{
    private readonly int[] _tokens;
    private readonly Action<SampledSequence> _leave;

    internal SampledSequence(SequenceRequest request, int length, Branch prompted, Branch? blank, Action<SampledSequence> leave)
    {
        (Request, Prompted, Blank, _leave) = (request, prompted, blank, leave);
        _tokens = new int[length];
    }

    /// <summary>What is sampled.</summary>
    public SequenceRequest Request { get; }

    /// <summary>Image tokens sampled so far, in raster order.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Position);

    /// <summary>Number of image tokens so far.</summary>
    public int Position { get; private set; }

    /// <summary>Whether there is nothing left to sample.</summary>
    public bool IsWhole => Position == _tokens.Length;

    /// <summary>The sequence after its caption.</summary>
    internal Branch Prompted { get; }

    /// <summary>The same tokens after the blank caption, where there is guidance.</summary>
    internal Branch? Blank { get; }

    /// <summary>The token that is given for the next position, or <see cref="SequenceRequest.Free"/>.</summary>
    internal int Given => Position < Request.GivenTokens.Count ? Request.GivenTokens[Position] : SequenceRequest.Free;

    internal bool Left { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!Left)
        {
            Left = true;
            _leave(this);
        }
    }

    internal void Append(int token) => _tokens[Position++] = token;

    /// <summary>One caption and the image after it, in the decoder's cache.</summary>
    internal sealed class Branch(CachedPrompt prompt, int slot)
    {
        public CachedPrompt Prompt => prompt;

        public int Slot => slot;

        /// <summary>Its row in the step at hand.</summary>
        public int Row { get; set; }
    }
}
