using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>Pictures to logits over the codebook: a 7x7 convolution, groups of resblocks with 2x2 max-pooling between them, ReLU, a 32-bit 1x1 convolution.</summary>
internal sealed class Encoder
{
    private readonly Convolution _input;
    private readonly Resblock[][] _groups;
    private readonly Convolution _output;
    private readonly ScalarType _format;
    private readonly double _logitGain;

    public Encoder(DiscreteVaeConfig config, ParameterStore parameters)
    {
        (_format, _logitGain) = (parameters.Precision.ToScalarType(), config.LogitGain);
        _input = new(parameters, "encoder.blocks.input");
        _groups = [.. config.GroupWidths.Select((_, group) => Enumerable.Range(0, config.BlocksPerGroup)
            .Select(block => new Resblock(parameters, BlockName(group, block), config.ResidualGain)).ToArray())];
        _output = new(parameters, "encoder.blocks.output.conv");
    }

    public static IEnumerable<ParameterSpec> Declare(DiscreteVaeConfig config)
    {
        var width = config.GroupWidths[0];
        foreach (var spec in Convolution.Declare("encoder.blocks.input", 3, width, 7))
        {
            yield return spec;
        }

        for (var group = 0; group < config.GroupWidths.Count; group++)
        {
            for (var block = 0; block < config.BlocksPerGroup; block++)
            {
                foreach (var spec in Resblock.Declare(BlockName(group, block), width, config.GroupWidths[group], Resblock.EncoderKernels))
                {
                    yield return spec;
                }

                width = config.GroupWidths[group];
            }
        }

        foreach (var spec in Convolution.Declare("encoder.blocks.output.conv", width, config.CodebookSize, 1, ParameterKind.FullPrecisionWeight))
        {
            yield return spec;
        }
    }

    /// <summary>Maps pixels, float32 <c>[B, 3, H, W]</c> in [0, 1], to logits, float32 <c>[B * h * w, K]</c>: one row per token, in raster order.</summary>
    public Tensor Forward(Tensor pixels_BCHW)
    {
        // Channels last: the layout that convolutions of this format are fast in. It carries through to the last layer.
        var mapped = PixelMap.Forward(pixels_BCHW).to(_format).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
        var x_BCHW = _input.Forward(mapped).to(ScalarType.Float32);
        for (var group = 0; group < _groups.Length; group++)
        {
            if (group > 0)
            {
                x_BCHW = nn.functional.max_pool2d(x_BCHW, kernel_size: 2);
            }

            foreach (var block in _groups[group])
            {
                x_BCHW = block.Forward(x_BCHW);
            }
        }

        // The gain on the rows, which are narrower than the logits.
        var rows_NC = x_BCHW.relu_().permute(0, 2, 3, 1).flatten(0, 2);
        return _output.ForwardRows(_logitGain == 1 ? rows_NC : rows_NC.mul(Number(_logitGain)));
    }

    private static string BlockName(int group, int block) => $"encoder.blocks.group_{group + 1}.block_{block + 1}";
}
