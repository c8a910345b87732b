using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>
/// The weights published with the paper (github.com/openai/DALL-E): two networks, each the state dict of its own module, saved as a safetensors file each. Keys
/// there are ours without <c>encoder.</c> and <c>decoder.</c>: <c>blocks.input.w</c>, <c>blocks.group_1.block_1.res_path.conv_1.b</c> and so on.
/// </summary>
public static class OriginalDiscreteVae
{
    private const string EncoderPrefix = "encoder.", DecoderPrefix = "decoder.";

    /// <summary>Reads both networks' weights in place, in whatever float format they were saved, and refreshes the compute copies.</summary>
    /// <param name="encoderPath">The encoder's state dict.</param>
    /// <param name="decoderPath">The decoder's state dict.</param>
    /// <param name="parameters">A discrete VAE's parameters; the original's shape is the default configuration.</param>
    /// <exception cref="SafetensorsException">A file is damaged or of a network of another shape.</exception>
    public static void Import(string encoderPath, string decoderPath, ParameterStore parameters)
    {
        using (var encoder = SafetensorsFile.Open(encoderPath))
        using (var decoder = SafetensorsFile.Open(decoderPath))
        using (NewDisposeScope())
        {
            encoder.ReadAllInto(Part(parameters, EncoderPrefix), convert: true);
            decoder.ReadAllInto(Part(parameters, DecoderPrefix), convert: true);
        }

        parameters.RefreshCompute();
    }

    /// <summary>Writes both networks' weights in the original layout.</summary>
    public static void Export(string encoderPath, string decoderPath, ParameterStore parameters)
    {
        using var scope = NewDisposeScope();
        SafetensorsFile.Write(encoderPath, Part(parameters, EncoderPrefix));
        SafetensorsFile.Write(decoderPath, Part(parameters, DecoderPrefix));
    }

    private static IEnumerable<(string Name, Tensor Tensor)> Part(ParameterStore parameters, string prefix) =>
        ParameterFile.Views(parameters, parameters.Master)
            .Where(view => view.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(view => (view.Name[prefix.Length..], view.Tensor));
}
