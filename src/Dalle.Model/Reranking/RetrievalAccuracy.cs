using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

// Shape suffixes: N pairs in all, B pairs of a batch, E embedding width, T text positions.

/// <summary>
/// How often, among the pairs of a batch, the nearest caption of a picture is its own, and the nearest picture of a caption (accuracy at 1). Pairs with the same text count as one another's:
/// nothing tells them apart. Chance is 1 in as many as a batch has pairs, and more where texts are the same.
/// </summary>
/// <param name="ImageToText">Share of pictures that find their caption.</param>
/// <param name="TextToImage">Share of captions that find their picture.</param>
/// <param name="Pairs">Pairs measured.</param>
/// <param name="BatchSize">Pairs that each is sought among, at least.</param>
public sealed record RetrievalAccuracy(double ImageToText, double TextToImage, int Pairs, int BatchSize)
{
    /// <summary>Pairs of a batch, where nothing else is asked for.</summary>
    public const int UsualBatch = 32;

    /// <summary>Measures pairs, cut into batches that are as even as can be.</summary>
    /// <param name="image_NE">Embeddings of pictures, float32, of unit length; at least one.</param>
    /// <param name="text_NE">Those of their captions.</param>
    /// <param name="text_NT">The captions' tokens, int64: what tells whether two are the same.</param>
    /// <param name="batch">Pairs of a batch; fewer only where there are fewer in all.</param>
    public static RetrievalAccuracy Of(Tensor image_NE, Tensor text_NE, Tensor text_NT, int batch = UsualBatch)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        long imageToText = 0, textToImage = 0;
        var batches = Batches(image_NE.shape[0], batch);
        foreach (var (start, count) in batches)
        {
            var cosines_BB = image_NE.narrow(0, start, count).mm(text_NE.narrow(0, start, count).t());
            var text_BT = text_NT.narrow(0, start, count);
            var same_BB = text_BT.unsqueeze(0).eq(text_BT.unsqueeze(1)).all(-1);
            imageToText += Right(same_BB, cosines_BB);
            textToImage += Right(same_BB, cosines_BB.t());
        }

        var pairs = image_NE.shape[0];
        return new((double)imageToText / pairs, (double)textToImage / pairs, (int)pairs, (int)batches.Min(part => part.Count));
    }

    /// <summary>Where batches start, and how many pairs they have.</summary>
    internal static IReadOnlyList<(long Start, long Count)> Batches(long pairs, int batch)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pairs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        var count = Math.Max(1, pairs / batch);
        return [.. Enumerable.Range(0, (int)count).Select(i => (pairs * i / count, (pairs * (i + 1) / count) - (pairs * i / count)))];
    }

    private static long Right(Tensor same_BB, Tensor cosines_BB) => same_BB.gather(1, cosines_BB.argmax(1, keepdim: true)).sum(ScalarType.Int64).item<long>();
}
