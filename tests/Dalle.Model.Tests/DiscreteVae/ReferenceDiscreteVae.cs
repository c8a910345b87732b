using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.DiscreteVae;

/// <summary>The two networks as openai/DALL-E writes them, layer by layer, in the format of the input.</summary>
internal static class ReferenceDiscreteVae
{
    public static Tensor Encode(DiscreteVaeConfig config, ParameterStore parameters, Tensor pixels_BCHW)
    {
        var x = Convolve(parameters, "encoder.blocks.input", pixels_BCHW.mul(Number(0.8)).add(Number(0.1), One));
        for (var group = 1; group <= config.GroupWidths.Count; group++)
        {
            for (var block = 1; block <= config.BlocksPerGroup; block++)
            {
                x = Block(config, parameters, $"encoder.blocks.group_{group}.block_{block}", x);
            }

            if (group < config.GroupWidths.Count)
            {
                x = nn.functional.max_pool2d(x, 2);
            }
        }

        return Convolve(parameters, "encoder.blocks.output.conv", x.relu().mul(Number(config.LogitGain)));
    }

    public static Tensor Decode(DiscreteVaeConfig config, ParameterStore parameters, Tensor codes_BKhw)
    {
        var x = Convolve(parameters, "decoder.blocks.input", codes_BKhw).mul(Number(config.CodeGain));
        for (var group = 1; group <= config.GroupWidths.Count; group++)
        {
            for (var block = 1; block <= config.BlocksPerGroup; block++)
            {
                x = Block(config, parameters, $"decoder.blocks.group_{group}.block_{block}", x);
            }

            if (group < config.GroupWidths.Count)
            {
                x = x.repeat_interleave(2, dim: 2).repeat_interleave(2, dim: 3);
            }
        }

        return Convolve(parameters, "decoder.blocks.output.conv", x.relu());
    }

    private static Tensor Block(DiscreteVaeConfig config, ParameterStore parameters, string name, Tensor x)
    {
        var identity = parameters.Contains($"{name}.id_path.w") ? Convolve(parameters, $"{name}.id_path", x) : x;
        var residual = x;
        for (var i = 1; i <= 4; i++)
        {
            residual = Convolve(parameters, $"{name}.res_path.conv_{i}", residual.relu());
        }

        return identity.add(residual, Number(config.ResidualGain));
    }

    private static Tensor Convolve(ParameterStore parameters, string name, Tensor x)
    {
        var weight = parameters[$"{name}.w"].to(x.dtype);
        return nn.functional.conv2d(x, weight, parameters[$"{name}.b"].to(x.dtype), padding: [weight.shape[2] / 2, weight.shape[3] / 2]);
    }
}
