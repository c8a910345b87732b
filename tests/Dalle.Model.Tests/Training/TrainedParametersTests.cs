using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Model.Tests.Safetensors;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Training;

public sealed class TrainedParametersTests : IDisposable
{
    private static readonly ParameterSpec[] Specs =
    [
        new("embedding", ParameterKind.Embedding, 0, 1, 5, 2),
        new("weight", ParameterKind.Weight, 0, 1, 4, 3),
        new("bias", ParameterKind.Bias, 0, 1, 4),
    ];

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Held_OfAllRows_IsTheNetwork()
    {
        using var named = Started(HeldParts.Rows(Specs, part: 0, parts: 1));
        using var unnamed = Started(held: null);

        Assert.All([named, unnamed], parameters =>
        {
            Assert.Same(parameters.Network, parameters.Held);
            Assert.Same(parameters.Average.Master, parameters.HeldAverage);
            parameters.RequireAllRows();
        });
    }

    [Fact]
    public void Held_OfSomeRows_HasThoseOfTheNetwork_AndNoneOfWhatIsNotNamed()
    {
        using var parameters = Started(new Dictionary<string, RowRange> { ["weight"] = new(1, 2), ["embedding"] = new(4, 1) });

        Assert.Equal(["weight [2, 3]", "embedding [1, 2]", "bias [0]"], parameters.Held.Specs.Select(spec => $"{spec.Name} [{string.Join(", ", spec.Shape)}]"));
        Assert.Equal(
            [.. Network("weight").Skip(3).Take(6), .. Network("embedding").Skip(8)], parameters.Held.Master.data<float>().ToArray());
        Assert.Equal(parameters.Held.Master.bytes.ToArray(), parameters.HeldAverage.bytes.ToArray());
        Assert.Throws<InvalidOperationException>(parameters.RequireAllRows);

        float[] Network(string name) => parameters.Network.View(parameters.Network.Master, name).data<float>().ToArray();
    }

    [Theory]
    [InlineData("gain", 0, 0, "'gain'")]
    [InlineData("weight", 3, 2, "within the 4 of 'weight', got 2 from 3")]
    [InlineData("weight", -1, 2, "from -1")]
    [InlineData("weight", 0, -1, "got -1")]
    [InlineData("weight", 1, long.MaxValue, "from 1")]
    public void Held_OfRowsThatAreNotThere_IsRefused(string name, long first, long count, string expected)
    {
        var error = Assert.Throws<ArgumentException>(() => Started(new Dictionary<string, RowRange> { [name] = new(first, count) }));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    // Of the embedding no row is held, and of the weight, whose moments are codes, none, some or all.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4)]
    public void NamedState_OfHeldRows_ComesBackFromAFile(int weights)
    {
        using var folder = new TemporaryFolder();
        var held = new Dictionary<string, RowRange> { ["weight"] = new(0, weights), ["bias"] = new(2, 2) };
        using var saved = Started(held);
        saved.Held.Gradient.fill_(Number(0.5));
        saved.Optimizer.Step(0, learningRate: 0.1, norm: 3);
        saved.MoveAverage(0.9);
        SafetensorsFile.Write(folder.File("state"), saved.NamedState());

        using var restored = Started(held, seed: 2);
        using (var file = SafetensorsFile.Open(folder.File("state")))
        {
            file.ReadAllInto(restored.NamedState());
        }

        Assert.Equal(Bytes(saved), Bytes(restored));
        Assert.Equal(3 * weights + 2, saved.Held.Count);

        static string[] Bytes(TrainedParameters parameters) =>
            [.. parameters.NamedState().Select(state => $"{state.Name} {state.Tensor.dtype} [{string.Join(", ", state.Tensor.shape)}] {Convert.ToHexString(state.Tensor.bytes)}")];
    }

    [Fact]
    public void Dispose_AfterUse_LeavesNoTensorBehind()
    {
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        using (NewDisposeScope())
        {
            using var parameters = Started(HeldParts.Rows(Specs, part: 1, parts: 3));
            parameters.Average.Master.fill_(One);
            parameters.MoveAverage(0.9);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    private static TrainedParameters Started(IReadOnlyDictionary<string, RowRange>? held, ulong seed = 1)
    {
        var parameters = new TrainedParameters(Specs, Precision.BFloat16, CPU, new(0.9, 0.99, 1e-8, 0.1, GradientClip: 1, Moments: MomentFormat.Paper16), held);
        parameters.Network.Initialize(seed);
        parameters.Start(seed);
        return parameters;
    }
}
