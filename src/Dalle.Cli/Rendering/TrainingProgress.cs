using Dalle.Contracts.Training;

namespace Dalle.Cli.Rendering;

/// <summary>What a watcher knows of a job: its events, folded. Plain state, no output.</summary>
internal sealed class TrainingProgress
{
    private readonly Dictionary<TrainingStage, double> _finished = [];

    public TrainingPhase Phase { get; private set; } = TrainingPhase.NotStarted;

    /// <summary>Why the phase was entered; null where the phase says it all.</summary>
    public string? Reason { get; private set; }

    public TrainingStage? Stage { get; private set; }

    /// <summary>Updates or pieces done in the present stage.</summary>
    public long Done { get; private set; }

    /// <summary>Updates or pieces of the present stage in all; 0 if unknown.</summary>
    public long Total { get; private set; }

    /// <summary>Loss of the present stage.</summary>
    public LossHistory Losses { get; } = new();

    public DiscreteVaeStepCompleted? DiscreteVae { get; private set; }

    public DiscreteVaeEvaluated? Reconstruction { get; private set; }

    public PriorStepCompleted? Prior { get; private set; }

    public RerankerStepCompleted? Reranker { get; private set; }

    public RerankerEvaluated? Retrieval { get; private set; }

    public SampleGridReady? Samples { get; private set; }

    public CheckpointManifest? Checkpoint { get; private set; }

    /// <summary>Name of the published model; null until then.</summary>
    public string? Model { get; private set; }

    /// <summary>Sequence number of the last event.</summary>
    public long Sequence { get; private set; }

    /// <summary>Seconds of each finished stage.</summary>
    public IReadOnlyDictionary<TrainingStage, double> Finished => _finished;

    /// <summary>Share of the present stage that is done; null if unknown.</summary>
    public double? Share => Total > 0 ? Math.Clamp((double)Done / Total, 0, 1) : null;

    /// <summary>Time to the end of the present stage; null if unknown.</summary>
    public TimeSpan? Remaining => Stage switch
    {
        TrainingStage.DiscreteVae => DiscreteVae?.Remaining,
        TrainingStage.Prior => Prior?.Remaining,
        TrainingStage.Reranker => Reranker?.Remaining,
        _ => null,
    };

    /// <summary>Takes the next event in.</summary>
    public void Apply(TrainingEvent next)
    {
        Sequence = next.Sequence;
        switch (next)
        {
            case PhaseChanged phase:
                (Phase, Reason) = (phase.Phase, phase.Reason);
                break;
            case StageStarted started:
                (Stage, Done, Total) = (started.Stage, started.FromStep, started.Updates);
                Losses.Clear();
                break;
            case StageAdvanced advanced:
                (Stage, Done, Total) = (advanced.Stage, advanced.Done, advanced.Total);
                break;
            case StageCompleted completed:
                _finished[completed.Stage] = completed.Seconds;
                Done = Total;
                break;
            case DiscreteVaeStepCompleted step:
                (Stage, Done, Total, DiscreteVae) = (TrainingStage.DiscreteVae, step.Step, step.Updates, step);
                Losses.Add(step.Loss);
                break;
            case DiscreteVaeEvaluated evaluated:
                Reconstruction = evaluated;
                break;
            case PriorStepCompleted step:
                (Stage, Done, Total, Prior) = (TrainingStage.Prior, step.Step, step.Updates, step);
                Losses.Add(step.Loss);
                break;
            case RerankerStepCompleted step:
                (Stage, Done, Total, Reranker) = (TrainingStage.Reranker, step.Step, step.Updates, step);
                Losses.Add(step.Loss);
                break;
            case RerankerEvaluated evaluated:
                Retrieval = evaluated;
                break;
            case SampleGridReady samples:
                Samples = samples;
                break;
            case CheckpointWritten written:
                Checkpoint = written.Checkpoint;
                break;
            case ModelPublished published:
                Model = published.Model;
                break;
            default:
                break;
        }
    }
}
