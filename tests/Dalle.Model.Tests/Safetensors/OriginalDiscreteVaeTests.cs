using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;
using Vae = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Model.Tests.Safetensors;

public sealed class OriginalDiscreteVaeTests : IDisposable
{
    private static readonly DiscreteVaeConfig Config = new() { ImageSize = 16, CodebookSize = 24, CodeWidth = 8, GroupWidths = [8, 16, 32, 64] };

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(4, CPU);

    private string EncoderPath => _folder.File("encoder.safetensors");

    private string DecoderPath => _folder.File("decoder.safetensors");

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Import_OfTheOriginalLayout_ComputesWhatTheOriginalNetworksDo()
    {
        var (encoder, decoder) = (EncoderState(), DecoderState());
        SafetensorsFile.Write(EncoderPath, encoder.Select(p => (p.Key, p.Value)));
        SafetensorsFile.Write(DecoderPath, decoder.Select(p => (p.Key, p.Value)));
        using var parameters = new ParameterStore(Vae.Declare(Config), Precision.Float32, CPU, trains: false);

        OriginalDiscreteVae.Import(EncoderPath, DecoderPath, parameters);

        var vae = new Vae(Config, parameters);
        var pixels = rand([2, 3, 16, 16], generator: _random);
        var tokens = OriginalEncode(encoder, pixels);
        Assert.True(tokens.unique().Item1.shape[0] > 1);
        Assert.True(vae.Encode(pixels).eq(tokens).all().item<bool>());
        Assert.True(vae.Decode(tokens).sub(OriginalDecode(decoder, tokens)).abs().max().item<float>() < 1e-5);
    }

    [Fact]
    public void Import_OfHalfPrecision_Converts()
    {
        SafetensorsFile.Write(EncoderPath, EncoderState().Select(p => (p.Key, p.Value.to(ScalarType.Float16))));
        SafetensorsFile.Write(DecoderPath, DecoderState().Select(p => (p.Key, p.Value.to(ScalarType.Float16))));
        using var parameters = new ParameterStore(Vae.Declare(Config), Precision.BFloat16, CPU, trains: false);

        OriginalDiscreteVae.Import(EncoderPath, DecoderPath, parameters);

        using var file = SafetensorsFile.Open(EncoderPath);
        Assert.True(parameters.View(parameters.Master, "encoder.blocks.input.w").eq(file.Read("blocks.input.w").to(ScalarType.Float32)).all().item<bool>());
        Assert.True(parameters["encoder.blocks.input.w"].abs().sum().to(ScalarType.Float32).item<float>() > 0);
    }

    [Fact]
    public void Import_OfSwappedFiles_SaysWhatIsWrong()
    {
        SafetensorsFile.Write(EncoderPath, EncoderState().Select(p => (p.Key, p.Value)));
        SafetensorsFile.Write(DecoderPath, DecoderState().Select(p => (p.Key, p.Value)));
        using var parameters = new ParameterStore(Vae.Declare(Config), Precision.Float32, CPU, trains: false);

        var error = Assert.Throws<SafetensorsException>(() => OriginalDiscreteVae.Import(DecoderPath, EncoderPath, parameters));

        Assert.Contains("instead of", error.Message, StringComparison.Ordinal);
        Assert.Contains(DecoderPath, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Export_ThenImport_KeepsEveryWeight()
    {
        using var exported = new ParameterStore(Vae.Declare(Config), Precision.Float32, CPU, trains: false);
        using var imported = new ParameterStore(Vae.Declare(Config), Precision.Float32, CPU, trains: false);
        exported.Initialize(seed: 1);

        OriginalDiscreteVae.Export(EncoderPath, DecoderPath, exported);
        OriginalDiscreteVae.Import(EncoderPath, DecoderPath, imported);

        Assert.Equal(exported.Master.bytes.ToArray(), imported.Master.bytes.ToArray());
        using var file = SafetensorsFile.Open(EncoderPath);
        Assert.Equal(EncoderState().Keys.Order(StringComparer.Ordinal), file.Entries.Select(e => e.Name).Order(StringComparer.Ordinal));
    }

    // What follows is the original's published definition (dall_e/encoder.py, decoder.py, utils.py) said again over its own state dicts.
    private Dictionary<string, Tensor> EncoderState()
    {
        var state = new Dictionary<string, Tensor>();
        AddConvolution(state, "blocks.input", 3, 8, 7);
        AddGroups(state, 8, [8, 16, 32, 64], [3, 3, 3, 1]);
        AddConvolution(state, "blocks.output.conv", 64, 24, 1);
        return state;
    }

    private Dictionary<string, Tensor> DecoderState()
    {
        var state = new Dictionary<string, Tensor>();
        AddConvolution(state, "blocks.input", 24, 8, 1);
        AddGroups(state, 8, [64, 32, 16, 8], [1, 3, 3, 3]);
        AddConvolution(state, "blocks.output.conv", 8, 6, 1);
        return state;
    }

    private void AddGroups(Dictionary<string, Tensor> state, int width, int[] widths, int[] kernels)
    {
        for (var group = 1; group <= 4; group++)
        {
            for (var block = 1; block <= 2; block++)
            {
                var (name, to) = ($"blocks.group_{group}.block_{block}", widths[group - 1]);
                if (width != to)
                {
                    AddConvolution(state, $"{name}.id_path", width, to, 1);
                }

                for (var i = 1; i <= 4; i++)
                {
                    AddConvolution(state, $"{name}.res_path.conv_{i}", i == 1 ? width : to / 4, i == 4 ? to : to / 4, kernels[i - 1]);
                }

                width = to;
            }
        }
    }

    private void AddConvolution(Dictionary<string, Tensor> state, string name, int from, int to, int kernel)
    {
        state[$"{name}.w"] = randn([to, from, kernel, kernel], generator: _random).mul(Number(3 / Math.Sqrt(from * kernel * kernel)));
        state[$"{name}.b"] = randn([to], generator: _random);
    }

    private static Tensor OriginalEncode(Dictionary<string, Tensor> state, Tensor pixels)
    {
        var x = Convolve(state, "blocks.input", pixels.mul(Number(0.8)).add(Number(0.1), One));
        for (var group = 1; group <= 4; group++)
        {
            x = Group(state, group, x);
            x = group < 4 ? max_pool2d(x, kernel_size: 2) : x;
        }

        return Convolve(state, "blocks.output.conv", x.relu()).argmax(1);
    }

    private static Tensor OriginalDecode(Dictionary<string, Tensor> state, Tensor tokens)
    {
        var x = Convolve(state, "blocks.input", one_hot(tokens, 24).permute(0, 3, 1, 2).to(ScalarType.Float32));
        for (var group = 1; group <= 4; group++)
        {
            x = Group(state, group, x);
            x = group < 4 ? interpolate(x, scale_factor: [2, 2], mode: InterpolationMode.Nearest) : x;
        }

        var statistics = Convolve(state, "blocks.output.conv", x.relu());
        return statistics.narrow(1, 0, 3).sigmoid().sub(Number(0.1)).div(Number(0.8)).clamp(Number(0), One);
    }

    private static Tensor Group(Dictionary<string, Tensor> state, int group, Tensor x)
    {
        for (var block = 1; block <= 2; block++)
        {
            var name = $"blocks.group_{group}.block_{block}";
            var identity = state.ContainsKey($"{name}.id_path.w") ? Convolve(state, $"{name}.id_path", x) : x;
            var residual = Enumerable.Range(1, 4).Aggregate(x, (y, i) => Convolve(state, $"{name}.res_path.conv_{i}", y.relu()));
            x = identity.add(residual, Number(1.0 / 64));
        }

        return x;
    }

    private static Tensor Convolve(Dictionary<string, Tensor> state, string name, Tensor x) =>
        conv2d(x, state[$"{name}.w"], state[$"{name}.b"], padding: [state[$"{name}.w"].shape[3] / 2]);
}
