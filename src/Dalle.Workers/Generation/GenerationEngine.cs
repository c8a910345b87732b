using System.Threading.Channels;
using Dalle.Contracts;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Microsoft.Extensions.Hosting;

namespace Dalle.Workers.Generation;

/// <summary>
/// Samples the pictures of waiting requests on this silo's device. Requests that wait for the same model when a batch begins are sampled together; the
/// device is taken a row at a time, so that training on it goes on in between.
/// </summary>
internal sealed class GenerationEngine(ArtifactStore store, DeviceThread device, TimeProvider clock) : BackgroundService
{
    /// <summary>Requests that may wait.</summary>
    private const int MaxWaiting = 256;

    /// <summary>Pictures of one batch, at most; a single larger request is a batch of its own.</summary>
    private const int MaxBatch = 128;

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    private readonly Channel<PictureRequest> _waiting = Channel.CreateBounded<PictureRequest>(MaxWaiting);
    private readonly ModelCache _models = new(store, device);

    /// <summary>Enters a request. Its events come out of <see cref="PictureRequest.Events"/>.</summary>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    public void Enter(PictureRequest request)
    {
        if (!_waiting.Writer.TryWrite(request))
        {
            throw new OverloadedException($"{MaxWaiting} requests are waiting already; try again in {RetryAfter.TotalSeconds:F0} s.", RetryAfter);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var waiting = new List<PictureRequest>();
        while (waiting.Count > 0 || await _waiting.Reader.WaitToReadAsync(stoppingToken))
        {
            while (_waiting.Reader.TryRead(out var request))
            {
                waiting.Add(request);
            }

            waiting.RemoveAll(request => request.IsCancelled);
            if (waiting.Count > 0)
            {
                var batch = TakeBatch(waiting);
                await Sample(batch, stoppingToken);
            }
        }
    }

    // The first request's model, and all that wait for the same, in order, while there is room.
    private static List<PictureRequest> TakeBatch(List<PictureRequest> waiting)
    {
        var batch = new List<PictureRequest>();
        var pictures = 0;
        foreach (var request in waiting.Where(request => request.Model == waiting[0].Model))
        {
            if (batch.Count > 0 && pictures + request.Request.Candidates > MaxBatch)
            {
                break;
            }

            batch.Add(request);
            pictures += request.Request.Candidates;
        }

        waiting.RemoveAll(batch.Contains);
        return batch;
    }

    private async Task Sample(List<PictureRequest> batch, CancellationToken cancellationToken)
    {
        try
        {
            var model = await _models.Get(batch[0].Model, cancellationToken);
            await new PictureBatch(model, batch, device, clock).Run(cancellationToken);
        }
        catch (Exception error)
        {
            foreach (var request in batch)
            {
                request.Fail(error);
            }

            cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
