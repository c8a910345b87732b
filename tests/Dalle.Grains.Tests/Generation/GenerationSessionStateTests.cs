using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Grains.Generation;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;

namespace Dalle.Grains.Tests.Generation;

public sealed class GenerationSessionStateTests
{
    private static readonly GenerationRequest Request = new() { Model = "m", Prompt = "a", Candidates = 2, PartialPictures = 1 };
    private static readonly ModelManifest Model = new() { Name = "m", Preset = "test", Path = "models/m", Published = default, ImageSize = 8, GridSize = 2, Parameters = 1 };
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch;

    [Fact]
    public void Start_Repeated_ChangesNothing_AndAnotherRequestIsRefused()
    {
        var state = new GenerationSessionState().Start(Request, Model, Now);

        Assert.Same(state, state.Start(Request with { }, Model, Now.AddSeconds(1)));
        Assert.Equal("session", Assert.Throws<InvalidRequestException>(() => state.Start(Request with { Seed = 1 }, Model, Now)).Parameter);
    }

    [Fact]
    public void Observe_NumbersEventsWithoutGaps()
    {
        var (state, events) = Play(Reports());

        Assert.Equal(Enumerable.Range(1, 10).Select(i => (long)i), [.. events.Select(item => item.Sequence), state.Complete(Now).Ending().Sequence]);
        Assert.Equal(
            "GenerationStarted RowSampled RowSampled PartialPicture PartialPicture RowSampled RowSampled PictureCompleted PictureCompleted",
            string.Join(' ', events.Select(item => item.GetType().Name)));
        Assert.Equal([2, 3, 6, 7], Assert.IsType<PictureCompleted>(events[^1]).Tokens);
    }

    [Fact]
    public void Replay_AfterALoss_GivesTheSameNumbers_AndTheRestGoesOn()
    {
        var (_, whole) = Play(Reports());
        var (interrupted, _) = Play([.. Reports().Take(2)]);

        var replayed = interrupted.Replay().ToList();
        var (_, rest) = Play([new SamplingStarted(3), .. Reports().Skip(2)], interrupted);

        Assert.Equal([[0, 1], [2, 3]], interrupted.Remainder(default).Tokens);
        Assert.Equal(whole.Select(Text), replayed.Concat(rest).Select(Text));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Replay_WherePartialPicturesMayNotHaveBeenTold_WaitsForThemToBeDecodedAgain(int reportsBefore)
    {
        var (_, whole) = Play(Reports());
        var (interrupted, _) = Play([.. Reports().Take(reportsBefore)]);
        var stored = interrupted with { PartialsTold = 0 };

        // What a generator reports that is handed the remainder.
        var rest = Reports().Where(report => report is PartialDecoded or PictureDecoded || (report is RowsSampled row && row.Tokens[0][0] / 4 >= stored.Rows.Count));
        var (drawn, events) = Play(rest, stored);

        Assert.Equal(0, stored.Remainder(Now).PartialsTold);
        Assert.Equal(1, drawn.Remainder(Now).PartialsTold);
        Assert.Equal(whole.Select(Text), stored.Replay().Concat(events).Select(Text));
        Assert.Equal(whole.Where(item => item is GenerationStarted or RowSampled).Select(Text), drawn.Replay().Select(Text));
    }

    [Fact]
    public void PartialsTold_AreNotStored()
    {
        using var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        var (state, _) = Play([.. Reports().Take(4)]);

        var stored = serializer.Deserialize<GenerationSessionState>(serializer.SerializeToArray(state))!;

        Assert.Equal((1, 0), (state.PartialsTold, stored.PartialsTold));
        Assert.Equal(state.Rows, stored.Rows);
    }

    [Fact]
    public void Remainder_OfARequestThatMayNotWait_HasWhatIsLeft_UntilItHasRows()
    {
        var state = new GenerationSessionState().Start(Request with { MaxWait = TimeSpan.FromSeconds(5) }, Model, Now);
        var (drawn, _) = Play([.. Reports().Take(2)], state);

        Assert.Equal(TimeSpan.FromSeconds(3), state.Remainder(Now.AddSeconds(2)).Request.MaxWait);
        Assert.Contains("5 seconds", Assert.Throws<OverloadedException>(() => state.Remainder(Now.AddSeconds(5))).Message, StringComparison.Ordinal);
        Assert.Null(drawn.Remainder(Now.AddSeconds(9)).Request.MaxWait);
    }

    [Fact]
    public void HoldsMore_WithTokensOrScores_NotWithWhatCanBeFoundAgain()
    {
        var state = new GenerationSessionState().Start(Request, Model, Now);
        var (begun, _) = Play([new SamplingStarted(3, [1, 2, 3, 4])], state);
        var (drawn, _) = Play([.. Reports().Take(2)], state);

        Assert.False(begun.HoldsMoreThan(state));
        Assert.True(drawn.HoldsMoreThan(begun));
        Assert.True((drawn with { Scores = [0.5] }).HoldsMoreThan(drawn));
        Assert.False(drawn.HoldsMoreThan(drawn));
    }

    [Fact]
    public void Cancel_OfACompletedSession_ChangesNothing()
    {
        var state = new GenerationSessionState().Start(Request, Model, Now);

        Assert.Equal(GenerationPhase.Cancelled, state.Cancel().Phase);
        Assert.Equal(GenerationPhase.Completed, state.Complete(Now).Cancel().Phase);
    }

    [Fact]
    public void Complete_Again_KeepsTheTimeItTook()
    {
        var state = new GenerationSessionState().Start(Request, Model, Now).Complete(Now.AddSeconds(2));

        Assert.Equal(state, state.Complete(Now.AddSeconds(9)));
        Assert.Equal(new GenerationCompleted(8, 2) { Sequence = 10 }, state.Ending());
    }

    [Fact]
    public void Complete_WhereTheBestAreKept_NamesThemBestFirst()
    {
        var state = new GenerationSessionState().Start(Request with { Candidates = 4, Keep = 3, PartialPictures = 0 }, Model, Now);
        foreach (var (candidate, score) in new[] { 0.25, 0.5, -1, 0.5 }.Index())
        {
            (state, var events) = state.Observe(new PictureDecoded(candidate, new byte[] { 1 }, score));
            Assert.Equal(score, Assert.IsType<PictureCompleted>(Assert.Single(events)).Score);
        }

        // Decoded again by a silo that took the session over.
        Assert.Same(state, state.Observe(new PictureDecoded(0, new byte[] { 1 }, 0.25)).State);
        Assert.Equal([1, 3, 0], Assert.IsType<GenerationCompleted>(state.Complete(Now).Ending()).Kept);
    }

    private static GeneratorReport[] Reports() =>
    [
        new SamplingStarted(3),
        new RowsSampled([[0, 1], [2, 3]]),
        new PartialDecoded(0, 0, new byte[] { 1 }),
        new PartialDecoded(1, 0, new byte[] { 2 }),
        new RowsSampled([[4, 5], [6, 7]]),
        new PictureDecoded(0, new byte[] { 3 }),
        new PictureDecoded(1, new byte[] { 4 }),
    ];

    private static (GenerationSessionState State, List<GenerationEvent> Events) Play(IEnumerable<GeneratorReport> reports, GenerationSessionState? from = null)
    {
        var state = from ?? new GenerationSessionState().Start(Request, Model, Now);
        var events = new List<GenerationEvent>();
        foreach (var report in reports)
        {
            (state, var news) = state.Observe(report);
            events.AddRange(news);
        }

        return (state, events);
    }

    private static string Text(GenerationEvent item) => System.Text.Json.JsonSerializer.Serialize(item);
}
