using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Model.Parameters;
using Dalle.Model.Training;
using Dalle.Workers.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Workers.Tests.Training;

/// <summary>Updates that learn nothing but how many there were: the only parameter is the sum of the batches, and a batch is its step's number.</summary>
internal sealed class CountedUpdates(int count, int evaluateEvery) : IUpdates<int>, IShardedTrainer
{
    /// <summary>The network's declaration.</summary>
    public static IReadOnlyList<ParameterSpec> Declaration { get; } = [new("sum", ParameterKind.Bias, 0, 0, 1)];

    public int Count => count;

    public int EvaluateEvery => evaluateEvery;

    public IShardedTrainer Trainer => this;

    public WorkerGrid Grid
    {
        set
        {
        }
    }

    public int Step { get; set; }

    public ParameterStore Network { get; } = new(Declaration, Precision.Float32, CPU, trains: true);

    public ParameterStore Held => Network;

    public Tensor HeldAverage => Network.Master;

    public ParameterStore Average => Network;

    /// <summary>Called on the device's thread before each update.</summary>
    public Action<int> Before { get; set; } = _ => { };

    /// <summary>Called before each batch is read, on any thread.</summary>
    public Action<int> Reading { get; set; } = _ => { };

    /// <summary>Steps in the order they were done.</summary>
    public List<int> Done { get; } = [];

    /// <summary>Updates done at each evaluation.</summary>
    public List<int> Evaluated { get; } = [];

    /// <summary>Paces that a report was wanted with.</summary>
    public List<(int Step, Pace Pace)> Paces { get; } = [];

    /// <summary>What was written for the stages after; null until then.</summary>
    public long? Saved { get; private set; }

    public int Prepare(int step)
    {
        Reading(step);
        return step;
    }

    public IReadOnlyList<WorkerShare> Gradients(int step, int batch, IWorkerExchange exchange, bool measure)
    {
        Before(step);
        Assert.Equal(step, batch);
        exchange.Add(0, Network.Gradient.fill_(Number(batch)));
        return [new([], [])];
    }

    public double SquaredNorm() => Math.Pow(Network.Gradient.norm().item<float>(), 2);

    public TrainingEvent? Apply(int step, Verdict verdict, Pace? pace)
    {
        Assert.Equal(step, verdict.Norm);
        Done.Add(step);
        Network.Master.add_(Network.Gradient, One);
        Step = step + 1;
        if (pace is not { } reported)
        {
            return null;
        }

        Paces.Add((step, reported));
        return new PriorStepCompleted { Step = step + 1, Updates = count };
    }

    public IEnumerable<TrainingEvent> Evaluate(int step)
    {
        Evaluated.Add(step);
        return [new DiscreteVaeEvaluated { Step = step }];
    }

    public void Save() => Saved = (long)Network.Master.item<float>();

    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => [("parameters.sum", Network.View(Network.Master, "sum"))];

    public void OnRestored()
    {
    }

    public void Dispose() => Network.Dispose();
}
