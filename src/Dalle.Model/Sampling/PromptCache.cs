namespace Dalle.Model.Sampling;

/// <summary>A caption in the decoder's cache.</summary>
/// <param name="place">Its place there.</param>
/// <param name="tokens">Its text tokens, without padding.</param>
/// <param name="vocabulary">Image tokens to choose from.</param>
internal sealed class CachedPrompt(int place, int[] tokens, int vocabulary)
{
    public int Place => place;

    public int[] Tokens => tokens;

    /// <summary>Text positions that the decoder has read.</summary>
    public int Read { get; set; }

    /// <summary>Sequences that follow it at this moment.</summary>
    public int Users { get; set; }

    /// <summary>Logits of the first image token, once all of it is read.</summary>
    public float[] Logits { get; } = new float[vocabulary];
}

/// <summary>
/// Which captions are in the decoder's cache: each is read once for all its images, and stays for requests to come until its place is needed. The one
/// unused for longest makes room.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class PromptCache
{
    // The one used last in front.
    private readonly LinkedList<CachedPrompt> _prompts = new();
    private readonly Stack<int> _free;
    private readonly int _length;
    private readonly int _vocabulary;

    /// <param name="places">Captions at one time.</param>
    /// <param name="length">Text positions of a caption, padding included.</param>
    /// <param name="vocabulary">Image tokens to choose from.</param>
    public PromptCache(int places, int length, int vocabulary)
    {
        (_length, _vocabulary) = (length, vocabulary);
        _free = new(Enumerable.Range(0, places).Reverse());
    }

    /// <summary>Captions that were there already when they were asked for.</summary>
    public long Hits { get; private set; }

    /// <summary>Captions that had to be read.</summary>
    public long Misses { get; private set; }

    /// <summary>A caption, held until it is released as often as it was acquired. It is to be read if it has not been.</summary>
    /// <exception cref="InvalidOperationException">Every place is held.</exception>
    public CachedPrompt Acquire(IReadOnlyList<int> tokens)
    {
        var node = _prompts.First;
        while (node is not null && !node.Value.Tokens.AsSpan().SequenceEqual([.. tokens]))
        {
            node = node.Next;
        }

        if (node is null)
        {
            Misses++;
            node = new(new(TakePlace(), [.. tokens], _vocabulary));
        }
        else
        {
            Hits++;
            _prompts.Remove(node);
        }

        _prompts.AddFirst(node);
        node.Value.Users++;
        return node.Value;
    }

    /// <summary>Gives a caption back. One that was not read to its end, and that no one waits for any more, is forgotten.</summary>
    public void Release(CachedPrompt prompt)
    {
        if (--prompt.Users == 0 && !IsRead(prompt))
        {
            _prompts.Remove(prompt);
            _free.Push(prompt.Place);
        }
    }

    /// <summary>The caption that has waited for longest to be read to its end; null if none has to be.</summary>
    public CachedPrompt? Unread()
    {
        for (var node = _prompts.Last; node is not null; node = node.Previous)
        {
            if (!IsRead(node.Value))
            {
                return node.Value;
            }
        }

        return null;
    }

    /// <summary>Whether the decoder has read all of a caption.</summary>
    public bool IsRead(CachedPrompt prompt) => prompt.Read == _length;

    private int TakePlace()
    {
        if (_free.TryPop(out var free))
        {
            return free;
        }

        for (var node = _prompts.Last; node is not null; node = node.Previous)
        {
            if (node.Value.Users == 0)
            {
                _prompts.Remove(node);
                return node.Value.Place;
            }
        }

        throw new InvalidOperationException("Every place of the prompt cache is in use.");
    }
}
