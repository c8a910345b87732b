using Dalle.Model.Parameters;
using Dalle.Model.Reranking;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Reranking;

/// <summary>The reranker and its loss written once more with whole-array operations of libtorch, so that it derives the gradients: slow and plain.</summary>
internal static class ReferenceReranker
{
    /// <summary>The symmetric contrastive loss of a batch.</summary>
    public static Tensor Loss(RerankerConfig config, ParameterStore parameters, Tensor pixels, Tensor text)
    {
        var logits = Image(config, parameters, pixels).matmul(Text(config, parameters, text).t()).mul(parameters["log_scale"].exp());
        return Loss(logits);
    }

    /// <summary>The same by the logits.</summary>
    public static Tensor Loss(Tensor logits)
    {
        var own = arange(Number(0), Number(logits.shape[0]), One);
        return nn.functional.cross_entropy(logits, own).add(nn.functional.cross_entropy(logits.t(), own), One).div(Number(2));
    }

    public static Tensor Image(RerankerConfig config, ParameterStore parameters, Tensor pixels)
    {
        var kernel = parameters["image.patch.weight"].view(-1, 3, config.PatchSize, config.PatchSize);
        var patches = nn.functional.conv2d(pixels.mul(Number(2)).sub(One), kernel, parameters["image.patch.bias"], [config.PatchSize, config.PatchSize]).flatten(2).transpose(1, 2);
        var places = Enumerable.Range(0, config.PatchCount).Select(p => parameters["image.row"][p / config.GridSize].add(parameters["image.column"][p % config.GridSize], One));
        return Encode(parameters, "image.", config.Image, patches.add(stack([.. places]), One));
    }

    public static Tensor Text(RerankerConfig config, ParameterStore parameters, Tensor text)
    {
        var rows = Enumerable.Range(0, (int)text.shape[0]).Select(b => stack([.. Enumerable.Range(0, config.TextLength).Select(p => text[b, p].item<long>() is var token && token < 0
            ? parameters["text.pad"][p].add(parameters["text.position"][p], One)
            : parameters["text.token"][token].add(parameters["text.position"][p], One))]));
        return Encode(parameters, "text.", config.Text, stack([.. rows]));
    }

    private static Tensor Encode(ParameterStore parameters, string prefix, EncoderShape shape, Tensor x)
    {
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var p = $"{prefix}layers.{layer}.";
            var qkv = Linear(parameters, p + "attention.qkv", Norm(parameters, p + "attention.norm", x)).view(x.shape[0], x.shape[1], 3, shape.Heads, shape.HeadWidth).permute(2, 0, 3, 1, 4);
            var weights = qkv[0].matmul(qkv[1].transpose(-2, -1)).div(Number(Math.Sqrt(shape.HeadWidth))).softmax(-1);
            x = x.add(Linear(parameters, p + "attention.output", weights.matmul(qkv[2]).transpose(1, 2).flatten(2)), One);
            var hidden = Linear(parameters, p + "mlp.up", Norm(parameters, p + "mlp.norm", x));
            x = x.add(Linear(parameters, p + "mlp.down", hidden * hidden.mul(Number(1.702)).sigmoid()), One);
        }

        return nn.functional.normalize(nn.functional.linear(Norm(parameters, prefix + "norm", x).mean([1]), parameters[prefix + "projection"]), p: 2, dim: -1);
    }

    private static Tensor Norm(ParameterStore parameters, string name, Tensor x) =>
        nn.functional.layer_norm(x, [x.shape[^1]], parameters[name + ".gain"], parameters[name + ".bias"]);

    private static Tensor Linear(ParameterStore parameters, string name, Tensor x) =>
        nn.functional.linear(x, parameters[name + ".weight"], parameters[name + ".bias"]);
}
