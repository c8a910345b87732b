using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>A network's weights as a safetensors file: one 32-bit tensor per parameter, under its own name.</summary>
public static class ParameterFile
{
    /// <summary>Writes the masters durably. The same weights and properties give the same bytes.</summary>
    /// <param name="path">The file; an old one is replaced in one step.</param>
    /// <param name="parameters">The network's parameters.</param>
    /// <param name="metadata">String properties to keep beside them.</param>
    public static void Save(string path, ParameterStore parameters, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var scope = NewDisposeScope();
        SafetensorsFile.Write(path, Views(parameters, parameters.Master), metadata);
    }

    /// <summary>Reads all masters in place and refreshes the compute copies.</summary>
    /// <returns>The file's string properties.</returns>
    /// <exception cref="SafetensorsException">The file is damaged, or has other parameters than the network declares; nothing was changed by the latter.</exception>
    public static IReadOnlyDictionary<string, string> Load(string path, ParameterStore parameters)
    {
        using var file = SafetensorsFile.Open(path);
        using (NewDisposeScope())
        {
            file.ReadAllInto(Views(parameters, parameters.Master));
        }

        parameters.RefreshCompute();
        return file.Metadata;
    }

    /// <summary>A flat array laid out like <see cref="ParameterStore.Master"/> (a moment, an average) by parameter, for checkpoints. The views belong to the caller's dispose scope.</summary>
    /// <param name="parameters">Gives names and layout.</param>
    /// <param name="flat">The array.</param>
    /// <param name="prefix">Put before each name, as in <c>optimizer.mean.</c></param>
    public static IEnumerable<(string Name, Tensor Tensor)> Views(ParameterStore parameters, Tensor flat, string prefix = "") =>
        parameters.Specs.Select(spec => (prefix + spec.Name, parameters.View(flat, spec.Name)));
}
