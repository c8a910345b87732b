using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

/// <summary>The prior written once more with whole-array operations, so that libtorch derives the gradients: slow and plain.</summary>
internal static class ReferencePrior
{
    public static (Tensor Text, Tensor Image) Losses(TransformerConfig config, ParameterStore parameters, Tensor text, Tensor image)
    {
        var x = Embed(config, parameters, text, image);
        for (var layer = 0; layer < config.Layers; layer++)
        {
            var p = $"layers.{layer}.";
            x = x.add(Linear(parameters, p + "attention.output", Attend(config, layer, Linear(parameters, p + "attention.qkv", Norm(parameters, p + "attention.norm", x)))), One);
            var hidden = Linear(parameters, p + "mlp.up", Norm(parameters, p + "mlp.norm", x));
            x = x.add(Linear(parameters, p + "mlp.down", hidden * hidden.mul(Number(1.702)).sigmoid()), One);
        }

        x = Norm(parameters, "norm", x);
        var t = config.TextLength;
        var textLogits = nn.functional.linear(x.narrow(1, 0, t - 1), parameters["text.unembedding"]).flatten(0, 1);
        var imageLogits = nn.functional.linear(x.narrow(1, t - 1, config.ImageLength), parameters["image.unembedding"]).flatten(0, 1);
        return (nn.functional.cross_entropy(textLogits, text.narrow(1, 1, t - 1).flatten(), ignore_index: -1), nn.functional.cross_entropy(imageLogits, image.flatten()));
    }

    private static Tensor Embed(TransformerConfig config, ParameterStore parameters, Tensor text, Tensor image)
    {
        var sequences = new List<Tensor>();
        for (var b = 0; b < text.shape[0]; b++)
        {
            var rows = new List<Tensor>();
            for (var p = 0; p < config.TextLength; p++)
            {
                var token = text[b, p].item<long>();
                rows.Add((token < 0 ? parameters["text.pad"][p] : parameters["text.token"][token]).add(parameters["text.position"][p], One));
            }

            for (var p = 0; p < config.ImageLength; p++)
            {
                var token = parameters["image.token"][image[b, p].item<long>()];
                rows.Add(token.add(parameters["image.row"][p / config.GridSize], One).add(parameters["image.column"][p % config.GridSize], One));
            }

            sequences.Add(stack(rows));
        }

        return stack(sequences);
    }

    private static Tensor Attend(TransformerConfig config, int layer, Tensor qkv)
    {
        var parts = qkv.view(qkv.shape[0], qkv.shape[1], 3, config.Heads, config.HeadWidth).permute(2, 0, 3, 1, 4);
        using var mask = AttentionMask.Create(config, config.Attention(layer));
        var scores = parts[0].matmul(parts[1].transpose(-2, -1)).div(Number(Math.Sqrt(config.HeadWidth)));
        var weights = scores.masked_fill(mask.logical_not(), Number(double.NegativeInfinity)).softmax(-1);
        return weights.matmul(parts[2]).transpose(1, 2).flatten(2);
    }

    private static Tensor Norm(ParameterStore parameters, string name, Tensor x) =>
        nn.functional.layer_norm(x, [x.shape[^1]], parameters[name + ".gain"], parameters[name + ".bias"]);

    private static Tensor Linear(ParameterStore parameters, string name, Tensor x) =>
        nn.functional.linear(x, parameters[name + ".weight"], parameters[name + ".bias"]);
}
