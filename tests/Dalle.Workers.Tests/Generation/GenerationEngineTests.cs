using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Model.Presets;
using Dalle.Model.Sampling;
using Dalle.Tests.Shared;
using Dalle.Workers.Generation;

namespace Dalle.Workers.Tests.Generation;

/// <summary>What is drawn.</summary>
public sealed class GenerationEngineTests : EngineTests
{
    [Fact]
    public async Task Engine_ReportsStart_EveryRow_PartialsAfterTheirRows_ThenThePictures()
    {
        var reports = await Draw(Request("a red circle", candidates: 2, partials: 1));

        Assert.Equal(
            "SamplingStarted RowsSampled RowsSampled PartialDecoded PartialDecoded RowsSampled RowsSampled PictureDecoded PictureDecoded",
            string.Join(' ', reports.Select(report => report.GetType().Name)));
        Assert.All(reports.OfType<RowsSampled>(), row => Assert.Equal([GridSize, GridSize], row.Tokens.Select(tokens => tokens.Count)));
        Assert.Equal([0, 1], reports.OfType<PictureDecoded>().Select(picture => picture.Candidate));
        var picture = PictureDecoder.Decode(reports.OfType<PictureDecoded>().First().Png.Span);
        Assert.Equal((32, 32), (picture.Width, picture.Height));
    }

    [Fact]
    public async Task Engine_PartialPicture_IsWhiteBelowTheRowsSampled()
    {
        var reports = await Draw(Request("a red circle", partials: 1));

        var partial = PictureDecoder.Decode(reports.OfType<PartialDecoded>().Single().Png.Span);

        Assert.All(partial.Rgb[(16 * 32 * 3)..], value => Assert.Equal(255, value));
        Assert.Contains(partial.Rgb[..(16 * 32 * 3)], value => value != 255);
    }

    [Fact]
    public async Task Engine_SameSeed_GivesTheSamePictures_WhateverIsDrawnBeside()
    {
        var request = Request("a red circle", candidates: 2, seed: 7);
        var alone = await Draw(request);
        var others = Enumerable.Range(0, 5).Select(i => Draw(Request("a green cross", candidates: 1 + i, seed: (ulong)i))).ToList();

        var together = await Draw(request);

        Assert.Equal(Pictures(alone), Pictures(together));
        Assert.Equal(Tokens(alone, 0), Tokens(together, 0));
        Assert.NotEqual(Tokens(alone, 0), Tokens(alone, 1));
        await Task.WhenAll(others);
    }

    [Fact]
    public async Task Engine_GoesOnFromKnownRows_ToTheSamePictures()
    {
        var request = Request("a red circle", candidates: 2, seed: 7);
        var whole = await Draw(request);
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate)[..(3 * GridSize)])];

        var rest = await Draw(request with { Tokens = known });
        var decoded = await Draw(request with { Tokens = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate))] });

        Assert.Single(rest.OfType<RowsSampled>());
        Assert.Equal(Tokens(whole, 1)[(3 * GridSize)..], Tokens(rest, 1));
        Assert.Empty(decoded.OfType<RowsSampled>());
        Assert.Equal(Pictures(whole), Pictures(rest));
        Assert.Equal(Pictures(whole), Pictures(decoded));
    }

    [Theory]
    [InlineData(2, 0, "SamplingStarted PartialDecoded PartialDecoded RowsSampled RowsSampled PictureDecoded PictureDecoded")]
    [InlineData(3, 0, "SamplingStarted PartialDecoded PartialDecoded RowsSampled PictureDecoded PictureDecoded")]
    [InlineData(4, 0, "SamplingStarted PartialDecoded PartialDecoded PictureDecoded PictureDecoded")]
    [InlineData(2, 1, "SamplingStarted RowsSampled RowsSampled PictureDecoded PictureDecoded")]
    public async Task Engine_GoingOnBehindPartials_TellsThoseThatWereNotTold_BeforeAnyRow(int rows, int partialsTold, string reports)
    {
        var request = Request("a red circle", candidates: 2, seed: 7, partials: 1);
        var whole = await Draw(request);
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(whole, candidate)[..(rows * GridSize)])];

        var rest = await Draw(request with { Tokens = known, PartialsTold = partialsTold });

        Assert.Equal(reports, string.Join(' ', rest.Select(report => report.GetType().Name)));
        Assert.Equal(
            whole.OfType<PartialDecoded>().Skip(2 * partialsTold).Select(partial => Convert.ToHexString(partial.Png.Span)),
            rest.OfType<PartialDecoded>().Select(partial => Convert.ToHexString(partial.Png.Span)));
    }

    [Fact]
    public async Task Engine_AskedForTheBest_TellsScores_WhichAModelWithoutARerankerRefuses()
    {
        var request = Request("a red circle", candidates: 3, seed: 7);
        var ranked = request with { Request = request.Request with { Keep = 1 }, Model = PublishedTestModel.Write(Store, "ranked", reranker: true) };

        var scores = (await Draw(ranked)).OfType<PictureDecoded>().Select(picture => picture.Score).ToArray();

        Assert.Equal(3, scores.Distinct().Count());
        Assert.All(scores, score => Assert.InRange(score!.Value, -1.0001, 1.0001));
        Assert.Equal(scores, (await Draw(ranked)).OfType<PictureDecoded>().Select(picture => picture.Score));
        Assert.All((await Draw(ranked with { Request = request.Request })).OfType<PictureDecoded>(), picture => Assert.Null(picture.Score));
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Draw(ranked with { Model = Manifest }));
        Assert.Equal(nameof(GenerationRequest.Keep), error.Parameter);
    }

    [Fact]
    public async Task Engine_PictureToComplete_KeepsItsTokensAndDrawsTheRest()
    {
        var kept = Kept(TopRows(2));
        var request = Request("a red circle", candidates: 2, seed: 7) with { Request = Request("a red circle", candidates: 2, seed: 7).Request with { Completion = new() { Picture = new byte[] { 1 } } } };
        using var ticket = Engine.Enter(request, kept);
        var reports = await ticket.Reports(Token).ToListAsync(Token);

        var tokens = reports.OfType<SamplingStarted>().Single().PictureTokens!;
        Assert.Equal(GridSize * GridSize, tokens.Count);
        Assert.All([0, 1], candidate => Assert.Equal(tokens.Take(2 * GridSize), Tokens(reports, candidate).Take(2 * GridSize)));
        Assert.NotEqual(Tokens(reports, 0), Tokens(reports, 1));

        // Another generator goes on with it, whatever its own encoder would say.
        int[][] known = [.. Enumerable.Range(0, 2).Select(candidate => Tokens(reports, candidate)[..GridSize])];
        using var rest = Engine.Enter(request with { Tokens = known, PictureTokens = tokens }, Kept(TopRows(2), seed: 99));
        Assert.Equal(Pictures(reports), Pictures(await rest.Reports(Token).ToListAsync(Token)));
    }

    [Fact]
    public async Task Engine_MorePicturesThanSlots_GivesTheSamePictures()
    {
        await using var narrow = NewEngine(new GeneratorOptions { Slots = 2 });
        var request = Request("a red circle", candidates: 5, seed: 9, partials: 2);
        var guided = request with { Request = request.Request with { Guidance = 1.5 } };

        Assert.Equal(Pictures(await Draw(request)), Pictures(await Draw(request, narrow)));
        Assert.Equal(Pictures(await Draw(guided)), Pictures(await Draw(guided, narrow)));
    }

    [Fact]
    public async Task Engine_PromptOfTooManyTokens_IsRefusedAlone()
    {
        using var other = Engine.Enter(Request("a red circle"));

        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Draw(Request(string.Join(' ', Enumerable.Range(0, 40)))));

        Assert.Equal("Prompt", error.Parameter);
        Assert.Contains("takes 16", error.Message, StringComparison.Ordinal);
        Assert.Single(await other.Reports(Token).OfType<PictureDecoded>().ToListAsync(Token));
    }

    [Fact]
    public async Task Engine_RequestThatDoesNotSay_IsSampledAsTheModelsCardSays()
    {
        var likeliest = PublishedTestModel.Write(Store, "likeliest", preset: Preset.Test with { Sampling = new SamplingSettings(TopK: 1) });

        var first = await Draw(Request("a red circle", seed: 1) with { Model = likeliest });
        var second = await Draw(Request("a red circle", seed: 2) with { Model = likeliest });

        Assert.Equal(Tokens(first, 0), Tokens(second, 0));
        Assert.NotEqual(Tokens(await Draw(Request("a red circle", seed: 1)), 0), Tokens(await Draw(Request("a red circle", seed: 2)), 0));
    }

    /// <summary>A picture of random colours of which the cells are kept that the rule tells.</summary>
    private static KeptPicture Kept(Func<int, int, bool> isKept, int seed = 5)
    {
        var random = new Random(seed);
        var colours = new byte[32 * 32 * 3];
        random.NextBytes(colours);
        var mask = PictureMask.Encode(32, 32, (x, y) => !isKept(x / 8, y / 8));
        return KeptPicture.Read(new() { Picture = PngEncoder.Encode(new(32, 32, colours)), Mask = mask }, imageSize: 32, GridSize);
    }

    private static Func<int, int, bool> TopRows(int count) => (_, row) => row < count;
}
