using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

/// <summary>Gradients on their way through resblocks in 16-bit floats of 5 exponent bits, with a scale for each.</summary>
public sealed class ResidualStackTests : IDisposable
{
    private const int Width = 16;

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly IDisposable _untracked = no_grad();
    private readonly Generator _generator = new(5, CPU);

    public void Dispose()
    {
        _generator.Dispose();
        _untracked.Dispose();
        _scope.Dispose();
    }

    // 3e-9 is below half of the smallest number, 6e-8: without a scale every gradient is 0.
    [Theory]
    [InlineData(1e-2)]
    [InlineData(3e-9)]
    public void Gradients_UnderScales_AreThoseOf32Bits(double size)
    {
        Tensor x_RC = randn(40, Width, generator: _generator), gradient_RC = randn(40, Width, generator: _generator).mul_(Number(size));
        using var scales = new GradientScales(1);
        var expected = Gradients(Precision.Float32, x_RC, gradient_RC, scales: null);
        var actual = Gradients(Precision.Float16, x_RC, gradient_RC, scales);
        foreach (var (name, gradient) in expected)
        {
            var error = (actual[name] - gradient).norm().item<float>() / gradient.norm().item<float>();
            Assert.True(error < 1e-2, $"The gradient of '{name}' is off by {error:P1}.");
        }
    }

    [Fact]
    public void Gradients_TooSmallFor16Bits_AreLostWithoutScales()
    {
        Tensor x_RC = randn(40, Width, generator: _generator), gradient_RC = randn(40, Width, generator: _generator).mul_(Number(3e-9));
        Assert.All(Gradients(Precision.Float16, x_RC, gradient_RC, scales: null).Where(pair => pair.Key != "x"), pair => Assert.Equal(0, pair.Value.abs().max().item<float>()));
    }

    // Each block passes its gradient on; the second also makes a mess of it. 8192 times 2^-10 is 8, exactly.
    [Fact]
    public void Backward_ThroughABlockThatOverflows_KeepsTheIdentityPathFinite()
    {
        var blocks = new[] { new FakeBlock(), new FakeBlock { Broken = true }, new FakeBlock() };
        using var scales = new GradientScales(3);
        using var walk = new ResidualStack(blocks, scales).Walk(zeros(1, 3), recompute: false);

        var gradient_RC = ThereAndBack(walk, full([1, 3], Number(1.0 / 1024)));

        Assert.Equal([8f, 8, 8], blocks[2].Seen);
        Assert.Equal([16f, 16, 16], blocks[1].Seen);
        Assert.Equal([16f, 16, 32], blocks[0].Seen);
        Assert.Equal([4f / 1024, 4f / 1024, 8f / 1024], gradient_RC.data<float>().ToArray());
    }

    [Fact]
    public void Backward_WithAGradientBeyond16Bits_EntersTheBlockAsZero()
    {
        var block = new FakeBlock();
        using var scales = new GradientScales(1);
        using var walk = new ResidualStack([block], scales).Walk(zeros(1, 4), recompute: false);
        var gradient_RC = ThereAndBack(walk, tensor([0.5f, 9, -9, float.NaN], [1, 4]));

        Assert.Equal([4096f, 0, 0, 0], block.Seen);
        Assert.Equal([1f, 9, -9, float.NaN], gradient_RC.data<float>().ToArray());
    }

    private static Tensor ThereAndBack(ResidualWalk walk, Tensor gradient_RC)
    {
        for (var block = 0; block < walk.Length; block++)
        {
            walk.Forward();
        }

        for (var block = 0; block < walk.Length; block++)
        {
            walk.Backward(gradient_RC);
        }

        return gradient_RC;
    }

    // Of the input ("x") and of every parameter, with the scale taken out.
    private static Dictionary<string, Tensor> Gradients(Precision precision, Tensor x_RC, Tensor gradient_RC, GradientScales? scales)
    {
        ParameterSpec[] specs = [.. TransformerParameters.Declare(new() { Layers = 1, Width = Width, Heads = 1 }).Where(spec => spec.Name.StartsWith("layers.0.mlp.", StringComparison.Ordinal))];
        using var parameters = new ParameterStore(specs, precision, CPU, trains: true);
        parameters.Initialize(seed: 7);
        var block = new MlpResblock(parameters, "layers.0.mlp.", precision.ToScalarType());
        using var walk = new ResidualStack([block], scales).Walk(x_RC.clone(), recompute: false);
        var result = new Dictionary<string, Tensor> { ["x"] = ThereAndBack(walk, gradient_RC.clone()) - gradient_RC };
        parameters.CollectGradients();
        if (scales is not null)
        {
            Assert.Equal([true], new ScaledGradients(parameters, ["layers.0.mlp."], scales).Unscale());
        }

        foreach (var spec in specs)
        {
            result.Add(spec.Name, parameters.View(parameters.Gradient, spec.Name).clone());
        }

        return result;
    }

    private sealed class FakeBlock() : Resblock(ScalarType.Float16)
    {
        public bool Broken { get; init; }

        public float[] Seen { get; private set; } = [];

        public override Tensor Forward(Tensor x_RC, Tape? tape) => zeros_like(x_RC, ScalarType.Float16);

        public override Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tape tape)
        {
            var passed_RC = gradient_RC.to(ScalarType.Float32);
            Seen = passed_RC.data<float>().ToArray();
            if (Broken)
            {
                passed_RC[0, 0] = float.PositiveInfinity;
                passed_RC[0, 1] = float.NaN;
            }

            return passed_RC;
        }
    }
}
