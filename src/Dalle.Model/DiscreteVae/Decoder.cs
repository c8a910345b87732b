using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>Codes to the six maps of the likelihood: a 32-bit 1x1 convolution (the codebook), groups of resblocks with upsampling between them, ReLU, a 1x1 convolution.</summary>
internal sealed class Decoder
{
    private readonly DiscreteVaeConfig _config;
    private readonly Convolution _input;
    private readonly Resblock[][] _groups;
    private readonly Convolution _output;
    private readonly ScalarType _format;

    public Decoder(DiscreteVaeConfig config, ParameterStore parameters)
    {
        (_config, _format) = (config, parameters.Precision.ToScalarType());
        _input = new(parameters, "decoder.blocks.input");
        _groups = [.. config.GroupWidths.Select((_, group) => Enumerable.Range(0, config.BlocksPerGroup)
            .Select(block => new Resblock(parameters, BlockName(group, block), config.ResidualGain)).ToArray())];
        _output = new(parameters, "decoder.blocks.output.conv");
    }

    public static IEnumerable<ParameterSpec> Declare(DiscreteVaeConfig config)
    {
        var width = config.CodeWidth;
        foreach (var spec in Convolution.Declare("decoder.blocks.input", config.CodebookSize, width, 1, ParameterKind.FullPrecisionWeight))
        {
            yield return spec;
        }

        for (var group = 0; group < config.GroupWidths.Count; group++)
        {
            for (var block = 0; block < config.BlocksPerGroup; block++)
            {
                foreach (var spec in Resblock.Declare(BlockName(group, block), width, config.GroupWidths[^(group + 1)], Resblock.EncoderKernels.Reverse()))
                {
                    yield return spec;
                }

                width = config.GroupWidths[^(group + 1)];
            }
        }

        foreach (var spec in Convolution.Declare("decoder.blocks.output.conv", width, 6, 1))
        {
            yield return spec;
        }
    }

    /// <summary>The codebook, float32 <c>[K, D]</c>, a view.</summary>
    public Tensor Codebook => _input.Columns;

    /// <summary>Maps relaxed codes, float32 <c>[B * h * w, K]</c> with rows that sum to 1, to the six maps, float32 <c>[B, 6, H, W]</c>.</summary>
    public Tensor Forward(Tensor relaxed_NK) => FromRows(_input.ForwardRows(relaxed_NK));

    /// <summary>Maps image tokens, int64 <c>[B * h * w]</c>, to the six maps, float32 <c>[B, 6, H, W]</c>.</summary>
    public Tensor ForwardTokens(Tensor tokens_N) => FromRows(_input.ForwardCodes(tokens_N));

    private Tensor FromRows(Tensor rows_NC)
    {
        var scaled_NC = _config.CodeGain == 1 ? rows_NC : rows_NC.mul(Number(_config.CodeGain));
        var x_BCHW = scaled_NC.view(-1, _config.GridSize, _config.GridSize, _config.CodeWidth).permute(0, 3, 1, 2);
        for (var group = 0; group < _groups.Length; group++)
        {
            for (var block = 0; block < _groups[group].Length; block++)
            {
                x_BCHW = _groups[group][block].Forward(x_BCHW, upsample: group > 0 && block == 0);
            }
        }

        return _output.Forward(x_BCHW.to(_format).relu()).to(ScalarType.Float32);
    }

    private static string BlockName(int group, int block) => $"decoder.blocks.group_{group + 1}.block_{block + 1}";
}
