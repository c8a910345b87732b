using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Pictures;
using Dalle.Model.Sampling;
using Dalle.Workers.Devices;

namespace Dalle.Workers.Generation;

/// <summary>Requests of one model that are sampled together, from their first row to their pictures.</summary>
internal sealed class PictureBatch
{
    private readonly LoadedModel _model;
    private readonly DeviceThread _device;
    private readonly TimeProvider _clock;
    private readonly List<(PictureRequest Owner, int Candidate, SequenceRequest Sequence)> _sequences = [];
    private readonly List<(PictureRequest Owner, int PromptTokens)> _requests = [];

    public PictureBatch(LoadedModel model, IReadOnlyList<PictureRequest> requests, DeviceThread device, TimeProvider clock)
    {
        (_model, _device, _clock) = (model, device, clock);
        foreach (var request in requests)
        {
            Add(request);
        }
    }

    public async Task Run(CancellationToken cancellationToken)
    {
        if (_sequences.Count == 0)
        {
            return;
        }

        foreach (var (owner, promptTokens) in _requests)
        {
            owner.Report(new GenerationStarted(_model.RowLength, _model.Preset.DiscreteVae.ImageSize, promptTokens));
        }

        using var run = await _device.Run(_ => _model.Sampler.Start([.. _sequences.Select(s => s.Sequence)]), cancellationToken);
        for (var row = 0; await _device.Run(_ => SampleRow(run), cancellationToken); row++)
        {
            foreach (var (owner, _) in _requests.Where(request => !request.Owner.IsCancelled))
            {
                await ReportRow(run, owner, row, cancellationToken);
            }
        }

        foreach (var (owner, _) in _requests)
        {
            await Finish(run, owner, cancellationToken);
        }
    }

    private void Add(PictureRequest request)
    {
        var asked = request.Request;
        var tokens = _model.Tokenizer.Encode(asked.Prompt);
        if (tokens.Count > _model.Preset.Transformer.TextLength)
        {
            request.Fail(new InvalidRequestException(
                $"The prompt is {tokens.Count} tokens long; this model reads at most {_model.Preset.Transformer.TextLength}. Shorten it.", nameof(asked.Prompt)));
            return;
        }

        var preset = _model.Preset.Sampling;
        var settings = new SamplingSettings(
            asked.Temperature ?? preset.Temperature, asked.TopK ?? preset.TopK, asked.TopP ?? preset.TopP, asked.Guidance ?? preset.Guidance);
        _requests.Add((request, tokens.Count));
        for (var candidate = 0; candidate < asked.Candidates; candidate++)
        {
            _sequences.Add((request, candidate, new SequenceRequest(tokens, asked.Seed, candidate, settings) { GivenTokens = request.Given(candidate) }));
        }
    }

    /// <summary>Samples a row of every picture that somebody still wants.</summary>
    private bool SampleRow(SamplingRun run)
    {
        for (var i = 0; i < _model.RowLength; i++)
        {
            for (var sequence = 0; sequence < _sequences.Count; sequence++)
            {
                if (_sequences[sequence].Owner.IsCancelled)
                {
                    run.Drop(sequence);
                }
            }

            if (!run.Step())
            {
                return false;
            }
        }

        return true;
    }

    private async Task ReportRow(SamplingRun run, PictureRequest owner, int row, CancellationToken cancellationToken)
    {
        foreach (var (sequence, candidate) in Of(owner))
        {
            owner.Report(new RowSampled(candidate, row, run.Tokens(sequence)[(row * _model.RowLength)..].ToArray()));
        }

        if (PartialIndex(owner.Request.PartialPictures, row) is { } index)
        {
            foreach (var (sequence, candidate) in Of(owner))
            {
                owner.Report(new PartialPicture(candidate, index, await Paint(run, sequence, cancellationToken)));
            }
        }
    }

    private async Task Finish(SamplingRun run, PictureRequest owner, CancellationToken cancellationToken)
    {
        foreach (var (sequence, candidate) in Of(owner))
        {
            if (owner.IsCancelled)
            {
                return;
            }

            owner.Report(new PictureCompleted(candidate, run.Tokens(sequence).ToArray(), await Paint(run, sequence, cancellationToken)));
        }

        owner.Report(new GenerationCompleted(owner.Request.Candidates * run.Length, _clock.GetElapsedTime(owner.Began).TotalSeconds));
        owner.Complete();
    }

    private async Task<byte[]> Paint(SamplingRun run, int sequence, CancellationToken cancellationToken) =>
        PngEncoder.Encode(await _device.Run(_ => _model.Decode(run.Tokens(sequence)), cancellationToken));

    private IEnumerable<(int Sequence, int Candidate)> Of(PictureRequest owner) =>
        _sequences.Index().Where(s => s.Item.Owner == owner).Select(s => (s.Index, s.Item.Candidate));

    /// <summary>Which partial picture is due after a row; null for none. They are spread evenly over the rows, and none after the last.</summary>
    private int? PartialIndex(int wanted, int row)
    {
        for (var index = 0; index < Math.Min(wanted, _model.RowLength - 1); index++)
        {
            if (row + 1 == (index + 1) * _model.RowLength / (Math.Min(wanted, _model.RowLength - 1) + 1))
            {
                return index;
            }
        }

        return null;
    }
}
