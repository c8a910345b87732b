using System.Diagnostics.Metrics;
using Dalle.Contracts.Training;

namespace Dalle.Workers.Training;

/// <summary>Figures of training, for OpenTelemetry.</summary>
public sealed class TrainingInstruments
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Dalle.Training";

    private readonly Histogram<double> _updates;
    private readonly Counter<long> _skipped;
    private readonly Counter<long> _sent;
    private readonly Counter<long> _epochs;
    private readonly Counter<long> _lost;

    public TrainingInstruments(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _updates = meter.CreateHistogram<double>("dalle.training.update.duration", "s", "Time of an update, from its batch to its new parameters.");
        _skipped = meter.CreateCounter<long>("dalle.training.updates.skipped", "{update}", "Updates skipped because gradients were not finite.");
        _sent = meter.CreateCounter<long>("dalle.training.sent", "By", "Gradients and parameters sent to other silos.");
        _epochs = meter.CreateCounter<long>("dalle.training.epochs", "{epoch}", "Membership epochs begun here.");
        _lost = meter.CreateCounter<long>("dalle.training.peers.lost", "{silo}", "Other silos lost in the middle of training.");
    }

    internal void OnEpoch(string job, TrainingStage stage) => _epochs.Add(1, Tag(job), Tag(stage));

    internal void OnPeerLost(string job, TrainingStage stage) => _lost.Add(1, Tag(job), Tag(stage));

    internal void OnUpdate(string job, TrainingStage stage, TimeSpan took, bool skipped, long sentBytes)
    {
        _updates.Record(took.TotalSeconds, Tag(job), Tag(stage));
        _skipped.Add(skipped ? 1 : 0, Tag(job), Tag(stage));
        _sent.Add(sentBytes, Tag(job), Tag(stage));
    }

    private static KeyValuePair<string, object?> Tag(string job) => new("job", job);

    private static KeyValuePair<string, object?> Tag(TrainingStage stage) => new("stage", stage.ToString());
}
