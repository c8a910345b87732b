namespace Dalle.Model.Sampling;

/// <summary>The prior as sampling needs it: token in, logits of the next token out, with keys and values kept from step to step.</summary>
internal interface IDecoder : IDisposable
{
    /// <summary>Runs captions through the network, each once, and makes room for the images that are to follow them.</summary>
    /// <param name="captions">Text tokens; the rest of the text positions is padding.</param>
    /// <param name="captionOfSequence">For each sequence, the number of its caption.</param>
    IDecoding Start(IReadOnlyList<int[]> captions, IReadOnlyList<int> captionOfSequence);
}

/// <summary>Sequences that are decoded together.</summary>
internal interface IDecoding : IDisposable
{
    /// <summary>Logits of a sequence's next image token; valid until the next step.</summary>
    ReadOnlySpan<float> Logits(int sequence);

    /// <summary>Appends an image token to some of the sequences.</summary>
    /// <param name="sequences">Numbers of the sequences, each once.</param>
    /// <param name="tokens">The token of each.</param>
    void Step(ReadOnlySpan<int> sequences, ReadOnlySpan<int> tokens);
}
