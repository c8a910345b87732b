using Dalle.Contracts.Training;
using Dalle.Model.Safetensors;
using Dalle.Workers.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Workers.Tests.Training;

/// <summary>Updates that learn nothing but how many there were: the state is the sum of the batches, and a batch is its step's number.</summary>
internal sealed class CountedUpdates(int count, int evaluateEvery) : IUpdates<int>, ICheckpointed
{
    private readonly Tensor _sum = zeros(1, dtype: ScalarType.Int64);

    public int Count => count;

    public int EvaluateEvery => evaluateEvery;

    public ICheckpointed State => this;

    public int Step { get; set; }

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

    TrainingEvent? IUpdates<int>.Step(int step, int batch, Pace? pace)
    {
        Before(step);
        Assert.Equal(step, batch);
        Done.Add(step);
        using var number = tensor([(long)batch]);
        _sum.add_(number, One);
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

    public void Save() => Saved = _sum.item<long>();

    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => [("sum", _sum)];

    public void OnRestored()
    {
    }

    public void Dispose() => _sum.Dispose();
}
