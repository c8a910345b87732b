namespace Dalle.Model.Sampling;

/// <summary>One position of one sequence on its way through the network.</summary>
/// <param name="Prompt">Place of the caption's keys and values.</param>
/// <param name="Slot">Slot of the image's keys and values; -1 for a text position.</param>
/// <param name="Position">Position within the caption or the image.</param>
/// <param name="Token">The token there; -1 for padding.</param>
/// <param name="Predicts">Whether the logits of the next image token are wanted.</param>
internal readonly record struct DecodeRow(int Prompt, int Slot, int Position, int Token, bool Predicts);

/// <summary>
/// The prior as sampling needs it: tokens in, logits of the next image tokens out. Keys and values stay in places of fixed size, one for each caption and a
/// slot for each image, from step to step.
/// </summary>
internal interface IDecoder : IDisposable
{
    /// <summary>Text positions that are best read in one step, beside image tokens; a caption is never cut shorter than this.</summary>
    int TextRowsPerStep { get; }

    /// <summary>
    /// Runs rows of any sequences. The text rows come first, and those of a caption in the order of their positions, in as many steps as one likes; an
    /// image's tokens follow one step after the other.
    /// </summary>
    void Step(ReadOnlySpan<DecodeRow> rows);

    /// <summary>The logits that a row of the last step predicts; valid until the next step.</summary>
    ReadOnlySpan<float> Logits(int row);
}
