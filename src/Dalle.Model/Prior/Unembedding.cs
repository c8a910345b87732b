using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: R rows, C model width, V vocabulary.

/// <summary>The last layer of one vocabulary, in 32 bit, and the cross-entropy over it.</summary>
internal sealed class Unembedding(ParameterStore parameters, string name)
{
    // Logits of this many rows exist at a time: the whole batch's would be the largest array of a training step.
    private const int RowsAtATime = 512;

    private readonly Tensor _weight_VC = parameters[name];

    public Tensor Logits(Tensor hidden_RC) => nn.functional.linear(hidden_RC, _weight_VC);

    /// <summary>The summed cross-entropy of the rows, without gradients.</summary>
    /// <param name="hidden_RC">Output of the network, float32.</param>
    /// <param name="target_R">The tokens to predict, int64.</param>
    public double Loss(Tensor hidden_RC, Tensor target_R) => Chunks(hidden_RC, target_R, (hidden_rC, target_r1, _) =>
    {
        var logits_rV = Logits(hidden_rC);
        return (logits_rV.logsumexp(-1, keepdim: true) - logits_rV.gather(-1, target_r1)).sum().item<float>();
    });

    /// <summary>The summed cross-entropy of the rows; adds the weight's gradient and writes the rows' gradient.</summary>
    /// <param name="hidden_RC">Output of the network, float32.</param>
    /// <param name="target_R">The tokens to predict, int64.</param>
    /// <param name="scale">Factor of the gradients: the share of one row in the loss.</param>
    /// <param name="gradient_RC">Receives the gradient of <paramref name="hidden_RC"/>.</param>
    public double LossWithGradients(Tensor hidden_RC, Tensor target_R, double scale, Tensor gradient_RC) =>
        Chunks(hidden_RC, target_R, (hidden_rC, target_r1, start) =>
        {
            var logits_rV = Logits(hidden_rC);
            var loss = TensorMemory.SuitsKernels(logits_rV)
                ? CrossEntropyKernel.Run(logits_rV, target_r1, (float)scale)
                : ToGradient(logits_rV, target_r1, scale);
            parameters.GradientOf(name).addmm_(logits_rV.t(), hidden_rC);
            gradient_RC.narrow(0, start, hidden_rC.shape[0]).copy_(logits_rV.mm(_weight_VC));
            return loss;
        });

    // Turns logits into their gradient, scale * (softmax - one at the target), in place; returns the summed cross-entropy.
    private static double ToGradient(Tensor logits_rV, Tensor target_r1, double scale)
    {
        var total_r1 = logits_rV.logsumexp(-1, keepdim: true);
        var loss = (total_r1 - logits_rV.gather(-1, target_r1)).sum().item<float>();
        logits_rV.sub_(total_r1).exp_().scatter_add_(-1, target_r1, ones_like(total_r1).neg_()).mul_(Number(scale));
        return loss;
    }

    private static double Chunks(Tensor hidden_RC, Tensor target_R, Func<Tensor, Tensor, long, double> loss)
    {
        double sum = 0;
        var rows = target_R.shape[0];
        for (long start = 0; start < rows; start += RowsAtATime)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(RowsAtATime, rows - start);
            sum += loss(hidden_RC.narrow(0, start, count), target_R.narrow(0, start, count).unsqueeze(-1), start);
        }

        return sum;
    }
}
