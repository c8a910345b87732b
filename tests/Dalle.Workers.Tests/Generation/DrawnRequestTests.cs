using Dalle.Contracts.Generation;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using Dalle.Workers.Generation;
using Microsoft.Extensions.Time.Testing;
using static TorchSharp.torch;

namespace Dalle.Workers.Tests.Generation;

public sealed class DrawnRequestTests : IDisposable
{
    private static readonly int Grid = Preset.Test.Transformer.GridSize;

    private readonly FakeTimeProvider _clock = new();
    private readonly ParameterStore _parameters = new(TransformerParameters.Declare(Preset.Test.Transformer), Precision.Float32, CPU, trains: false);
    private readonly Sampler _sampler;

    public DrawnRequestTests()
    {
        _parameters.Initialize(seed: 1);
        _sampler = new(Preset.Test.Transformer, _parameters, threads: 1);
    }

    [Fact]
    public void Observe_ReportsTheFirstRowAtOnce_ThenWhatHasComeWhenItIsTime_AndTheLastAtOnce()
    {
        using var ticket = new GenerationTicket(Request(), null, _clock, () => { });
        var drawn = Drawn(ticket);

        Assert.Equal(1, RowsAfter(drawn, rows: 1));
        Assert.Equal(1, RowsAfter(drawn, rows: 1));
        _clock.Advance(DrawnRequest.Pace);
        drawn.Observe();
        Assert.Equal(2, drawn.Rows);
        Assert.Equal(2, RowsAfter(drawn, rows: 1));
        Assert.Equal(4, RowsAfter(drawn, rows: 1));
        Assert.True(drawn.IsWhole);
    }

    [Fact]
    public void Observe_HoldsRowsBack_UntilThePartialPicturesBeforeThemAreReported()
    {
        using var ticket = new GenerationTicket(Request(partials: 1), null, _clock, () => { });
        var drawn = Drawn(ticket);
        Assert.Equal(1, RowsAfter(drawn, rows: 1));
        _clock.Advance(DrawnRequest.Pace);
        Step(rows: 3);

        var due = Assert.Single(drawn.Observe().Due);
        Assert.Equal((0, 0, 2 * Grid, 2), (due.Candidate, due.Index, due.Tokens.Count, drawn.Rows));
        drawn.Observe();
        Assert.Equal(2, drawn.Rows);
        drawn.OnPartialReported();
        drawn.Observe();
        Assert.True(drawn.IsWhole);
    }

    public void Dispose()
    {
        _sampler.Dispose();
        _parameters.Dispose();
    }

    private static SampleRequest Request(int partials = 0) => new(
        new GenerationRequest { Model = "m", Prompt = "a", PartialPictures = partials },
        new() { Name = "m", Preset = "test", Path = "m", Published = default, ImageSize = 8 * Grid, GridSize = Grid, Parameters = 1 },
        [[]]);

    private DrawnRequest Drawn(GenerationTicket ticket)
    {
        var drawn = new DrawnRequest(ticket, [1], new(), Grid, null, _clock);
        drawn.Begin(0, _sampler);
        _sampler.Step();
        return drawn;
    }

    private int RowsAfter(DrawnRequest drawn, int rows)
    {
        Step(rows);
        drawn.Observe();
        return drawn.Rows;
    }

    private void Step(int rows)
    {
        for (var token = 0; token < rows * Grid; token++)
        {
            _sampler.Step();
        }
    }
}
