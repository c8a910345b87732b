using Dalle.Model.Reranking;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Reranking;

public sealed class RetrievalAccuracyTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Pairs_ThatAreNearestToEachOther_AreAllFound() =>
        Assert.Equal(new(1, 1, 3, 3), RetrievalAccuracy.Of(eye(3), eye(3), Captions(0, 1, 2)));

    // The first two pictures are nearest to the first caption, the third to the second. The second caption is nearest to the third picture, the others to their own.
    [Fact]
    public void Directions_AreCountedApart()
    {
        var image = tensor(new float[,] { { 1, 0, 0 }, { 0.9f, 0.1f, 0 }, { 0, 0.8f, 0.6f } });

        Assert.Equal(new(1.0 / 3, 2.0 / 3, 3, 3), RetrievalAccuracy.Of(image, eye(3), Captions(0, 1, 2)));
    }

    [Fact]
    public void Pairs_WithTheSameText_CountAsOneAnothers()
    {
        var crossed = eye(3).index_select(0, tensor(new long[] { 1, 0, 2 }));

        Assert.Equal(1.0 / 3, RetrievalAccuracy.Of(crossed, eye(3), Captions(0, 1, 2)).ImageToText);
        Assert.Equal(new(1, 1, 3, 3), RetrievalAccuracy.Of(crossed, eye(3), Captions(5, 5, 2)));
    }

    // 7 pairs in batches of at least 3: one of 3 and one of 4.
    [Fact]
    public void Batches_AreAsEvenAsCanBe_AndSoughtInAlone()
    {
        Assert.Equal([(0, 3), (3, 4)], RetrievalAccuracy.Batches(7, 3));
        Assert.Equal([(0, 2)], RetrievalAccuracy.Batches(2, 32));
        var same = ones(7, 1);

        // Every picture takes the first caption of its batch.
        Assert.Equal(new(2.0 / 7, 2.0 / 7, 7, 3), RetrievalAccuracy.Of(same, same, Captions(0, 1, 2, 3, 4, 5, 6), batch: 3));
    }

    private static Tensor Captions(params long[] tokens) => tensor(tokens).unsqueeze(1);
}
