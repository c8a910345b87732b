using System.Runtime.InteropServices;
using Dalle.Model.Kernels;
using Dalle.Model.Prior;
using Dalle.Model.Tests.Parameters;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Kernels;

// Shape suffixes: R rows, C width, V vocabulary.

/// <summary>
/// Each kernel with vectors of 8 and of 16, whichever of them the processor has (the other is computed in software), against the same in libtorch's
/// operations and against each other: alike to the last bit where each element is computed by itself, within rounding where sums are added in another order.
/// </summary>
public sealed class KernelTests : IDisposable
{
    private const int Rows = 133, Width = 80;
    private const float Slope = 1.702f, Epsilon = 1e-5f;

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _generator = new(5, CPU);

    public static TheoryData<ScalarType> Formats => [ScalarType.Float32, ScalarType.BFloat16];

    public void Dispose()
    {
        _generator.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Activation_OfEitherLength_IsLibtorchs(ScalarType format)
    {
        using var untracked = no_grad();
        var x = Random(format, Rows, Width).mul_(Number(10));
        var outer = Random(format, Rows, Width);
        Tensor y8 = empty_like(x), y16 = empty_like(x), gradient8 = outer.clone(), gradient16 = outer.clone();
        ActivationKernel.Forward<Lanes8>(x, Slope, y8);
        ActivationKernel.Forward<Lanes16>(x, Slope, y16);
        ActivationKernel.Backward<Lanes8>(gradient8, x, Slope);
        ActivationKernel.Backward<Lanes16>(gradient16, x, Slope);

        var wide = x.to(ScalarType.Float32);
        var gate = wide.mul(Number(Slope)).sigmoid();
        var derivative = gate.neg().add_(One, One).mul_(wide).mul_(Number(Slope)).add_(One, One).mul_(gate);
        AssertSameBits(y8, y16);
        AssertSameBits(gradient8, gradient16);
        AssertClose(wide * gate, y8);
        AssertClose(outer.to(ScalarType.Float32) * derivative, gradient8);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void LayerNorm_OfEitherLength_IsLibtorchs(ScalarType format)
    {
        var x = Random(ScalarType.Float32, Rows, Width).mul_(Number(3)).requires_grad_();
        var gain = Random(ScalarType.Float32, Width).requires_grad_();
        var bias = Random(ScalarType.Float32, Width).requires_grad_();
        var outer = Random(format, Rows, Width);
        var expected = nn.functional.layer_norm(x, [Width], gain, bias, Epsilon);
        expected.backward([outer.to(ScalarType.Float32)]);

        using var untracked = no_grad();
        Tensor y8 = empty([Rows, Width], format), y16 = empty([Rows, Width], format), xGradient8 = empty(Rows, Width), xGradient16 = empty(Rows, Width);
        LayerNormKernel.Forward<Lanes8>(x, gain, bias, Epsilon, y8);
        LayerNormKernel.Forward<Lanes16>(x, gain, bias, Epsilon, y16);
        var sums8 = LayerNormKernel.Backward<Lanes8>(outer, x, gain, Epsilon, xGradient8);
        var sums16 = LayerNormKernel.Backward<Lanes16>(outer, x, gain, Epsilon, xGradient16);

        AssertClose(y16.to(ScalarType.Float32), y8);
        AssertClose(xGradient16, xGradient8);
        AssertClose(sums16, sums8);
        AssertClose(expected, y8);
        AssertClose(x.grad!, xGradient8);
        AssertClose(gain.grad!, sums8[0].sum([0]));
        AssertClose(bias.grad!, sums8[1].sum([0]));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void ColumnSum_OfEitherLength_IsLibtorchs(ScalarType format)
    {
        using var untracked = no_grad();
        var x = Random(format, Rows, Width);
        var sums = ColumnSumKernel.Run<Lanes8>(x);
        AssertSameBits(sums, ColumnSumKernel.Run<Lanes16>(x));
        AssertClose(x.sum([0], type: ScalarType.Float32), sums.sum([0]));
    }

    [Fact]
    public void CrossEntropy_OfEitherLength_IsLibtorchs()
    {
        const float Scale = 0.5f;
        var logits = Random(ScalarType.Float32, Rows, Width).mul_(Number(20)).requires_grad_();
        var target = randint(0, Width, [Rows], ScalarType.Int64, generator: _generator);
        var expected = nn.functional.cross_entropy(logits, target, reduction: nn.Reduction.Sum);
        expected.mul(Number(Scale)).backward();

        using var untracked = no_grad();
        Tensor gradient8 = logits.clone(), gradient16 = logits.clone();
        var loss8 = CrossEntropyKernel.Run<Lanes8>(gradient8, target, Scale);
        var loss16 = CrossEntropyKernel.Run<Lanes16>(gradient16, target, Scale);

        Assert.Equal(loss16, loss8, 1e-6 * loss16);
        Assert.Equal(expected.item<float>(), loss8, 1e-5 * loss8);
        AssertClose(gradient16, gradient8);
        AssertClose(logits.grad!, gradient8);
    }

    // A count that no length divides, and a border of the decay within a vector.
    [Fact]
    public void AdamW_OfEitherLength_IsTheFormulas()
    {
        using var untracked = no_grad();
        const int Count = (1 << 15) + 1003, Decayed = 1001;
        var f = new AdamWFactors(0.7f, 0.9f, 0.99f, VarianceClip: 0.02f, VarianceCorrection: 1.5f, Epsilon: 1e-4f, StepSize: 0.01f, Shrink: 0.98f);
        Tensor p = Random(ScalarType.Float32, Count), g = Random(ScalarType.Float32, Count), m = Random(ScalarType.Float32, Count), v = Random(ScalarType.Float32, Count).abs();
        Tensor[] state8 = [p.clone(), m.clone(), v.clone()], state16 = [p.clone(), m.clone(), v.clone()];
        AdamWKernel.Run<Lanes8>(state8[0], g, state8[1], state8[2], Decayed, f);
        AdamWKernel.Run<Lanes16>(state16[0], g, state16[1], state16[2], Decayed, f);

        var clipped = g.mul(Number(f.GradientFactor));
        m.mul_(Number(f.Beta1)).add_(clipped, Number(1 - f.Beta1));
        v.mul_(Number(f.Beta2)).addcmul_(clipped, clipped, Number(1 - f.Beta2));
        p.narrow(0, 0, Decayed).mul_(Number(f.Shrink));
        var deviation = v.clamp_max(Number(f.VarianceClip)).mul_(Number(f.VarianceCorrection)).sqrt_().add_(Number(f.Epsilon), One);
        p.addcdiv_(m, deviation, Number(-f.StepSize));
        foreach (var (expected, actual8, actual16) in new[] { p, m, v }.Zip(state8, state16))
        {
            AssertSameBits(actual16, actual8);
            AssertClose(expected, actual8);
        }

        var wide = g.to(ScalarType.Float64);
        var squares = (wide * wide).sum().item<double>();
        Assert.Equal(squares, AdamWKernel.SumOfSquares<Lanes8>(g), 1e-5 * squares);
        Assert.Equal(squares, AdamWKernel.SumOfSquares<Lanes16>(g), 1e-5 * squares);
    }

    // As slow as it is plain: decode, update, encode, one element after the other.
    [Fact]
    public void AdamW_WithMomentsOf16Bits_IsTheReferenceToTheBit()
    {
        using var untracked = no_grad();
        const int Count = (1 << 15) + 1003, Decayed = 1001;
        var f = new AdamWFactors(0.7f, 0.9f, 0.96f, VarianceClip: 0.02f, VarianceCorrection: 1.5f, Epsilon: 1e-8f, StepSize: 0.01f, Shrink: 0.98f);
        Tensor p = Random(ScalarType.Float32, Count), g = Random(ScalarType.Float32, Count).pow(Number(9));
        var codes = randint(-0x8000, 0x8000, [2, Count], ScalarType.Int16, generator: _generator);
        Tensor[] state8 = [p.clone(), codes[0].clone(), codes[1].clone()], state16 = [p.clone(), codes[0].clone(), codes[1].clone()];
        AdamWKernel.Run<Lanes8>(state8[0], g, state8[1], state8[2], Decayed, f);
        AdamWKernel.Run<Lanes16>(state16[0], g, state16[1], state16[2], Decayed, f);

        ReferenceCode means = new(signed: true), variances = new(signed: false);
        Span<float> parameters = MemoryMarshal.Cast<byte, float>(p.bytes), gradients = MemoryMarshal.Cast<byte, float>(g.bytes);
        Span<ushort> m = MemoryMarshal.Cast<byte, ushort>(codes[0].bytes), v = MemoryMarshal.Cast<byte, ushort>(codes[1].bytes);
        for (var i = 0; i < Count; i++)
        {
            var gradient = gradients[i] * f.GradientFactor;
            var mean = ((float)means.Decode(m[i]) * f.Beta1) + (gradient * (1 - f.Beta1));
            var variance = ((float)variances.Decode(v[i]) * f.Beta2) + (gradient * gradient * (1 - f.Beta2));
            var deviation = MathF.Sqrt(Math.Min(variance, f.VarianceClip) * f.VarianceCorrection) + f.Epsilon;
            parameters[i] = (parameters[i] * (i < Decayed ? f.Shrink : 1)) - (mean * f.StepSize / deviation);
            (m[i], v[i]) = (means.Encode(mean), variances.Encode(variance));
        }

        foreach (var (expected, actual8, actual16) in new[] { p, codes[0], codes[1] }.Zip(state8, state16))
        {
            AssertSameBits(expected, actual8);
            AssertSameBits(expected, actual16);
        }
    }

    [Theory]
    [InlineData(SixExponentBits.WithSign)]
    [InlineData(SixExponentBits.WithoutSign)]
    public void Codes_InLibtorchsOperations_AreTheReferences(int mantissa)
    {
        using var untracked = no_grad();
        var reference = new ReferenceCode(mantissa == SixExponentBits.WithSign);
        var codes = arange(Number(-0x8000), Number(0x8000), One, ScalarType.Int16);
        var values = CodeTensors.Decode(codes, mantissa);
        Assert.Equal(Enumerable.Range(-0x8000, 0x10000).Select(code => (float)reference.Decode((ushort)code)), values.data<float>().ToArray());
        AssertSameBits(codes, CodeTensors.Encode(values, mantissa));

        var random = Random(ScalarType.Float32, 40_000).pow(Number(31));
        Assert.Equal(random.data<float>().ToArray().Select(reference.Encode), CodeTensors.Encode(random, mantissa).data<short>().ToArray().Select(code => (ushort)code));
    }

    // That attention is libtorch's is tested elsewhere (AttentionTests); here with an odd and an even number of tiles to a row.
    [Theory]
    [MemberData(nameof(Formats))]
    public void Attention_OfEitherLength_IsAlike(ScalarType format)
    {
        using var untracked = no_grad();
        foreach (var kind in Enum.GetValues<AttentionKind>())
        {
            foreach (var headWidth in new[] { 16, 48 })
            {
                var config = new TransformerConfig { GridSize = 8, TextLength = 24, Heads = 2, Width = 2 * headWidth };
                var qkv = Random(format, 3 * config.SequenceLength, 3 * config.Width);
                var outer = Random(format, 3 * config.SequenceLength, config.Width);
                var kernel = new AttentionKernel(new AttentionTiles(config, kind), config.Heads, config.HeadWidth, config.SequenceLength);
                Tensor attended8 = empty_like(outer), attended16 = empty_like(outer), gradient8 = empty_like(qkv), gradient16 = empty_like(qkv);
                var total8 = kernel.Forward<Lanes8>(qkv, attended8);
                var total16 = kernel.Forward<Lanes16>(qkv, attended16);
                kernel.Backward<Lanes8>(outer, qkv, total8, gradient8);
                kernel.Backward<Lanes16>(outer, qkv, total16, gradient16);
                AssertClose(total16, total8);
                AssertClose(attended16.to(ScalarType.Float32), attended8);
                AssertClose(gradient16.to(ScalarType.Float32), gradient8);
            }
        }
    }

    private Tensor Random(ScalarType format, params long[] shape) => randn(shape, generator: _generator).to(format);

    private static void AssertSameBits(Tensor expected, Tensor actual) => Assert.Equal(expected.bytes.ToArray(), actual.bytes.ToArray());

    // Within the rounding of sums in 32 bit, and one rounding to the format.
    private static void AssertClose(Tensor expected, Tensor actual)
    {
        var relative = actual.dtype == ScalarType.BFloat16 ? 1.0 / 128 : 2e-5;
        var excess = ((expected - actual.to(ScalarType.Float32)).abs() - expected.abs().mul(Number(relative))).max().item<float>();
        Assert.True(excess < 5e-5, $"Off by {excess} more than rounding.");
    }
}
