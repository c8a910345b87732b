using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>Buffers of 32-bit floats to the codes of <see cref="ErrorFormat.Paper16"/> and back, in place: by kernels on a CPU, else by libtorch's operations, to the same bits.</summary>
internal static unsafe class ErrorCodes
{
    private const int ElementsOfARange = 1 << 15;

    // For libtorch, whose steps in between take several times the codes' memory.
    private const long ElementsAtATime = 1 << 24;

    /// <summary>Writes the exact values of codes.</summary>
    /// <param name="codes_N">Int16, contiguous.</param>
    /// <param name="target_N">Float32, as long.</param>
    public static void Decode(Tensor codes_N, Tensor target_N)
    {
        if (!TensorMemory.SuitsKernelsElementwise(target_N))
        {
            InPieces(codes_N, target_N, (codes, target) => target.copy_(CodeTensors.Decode(codes, SixExponentBits.WithSign)));
            return;
        }

        var source = TensorMemory.Pointer<ushort>(codes_N);
        var target = TensorMemory.Pointer<float>(target_N);
        CpuTeam.Run(codes_N.numel(), ElementsOfARange, (_, start, end) =>
            CodeKernel.Decode<SignedCode>(new(source + start, (int)(end - start)), new(target + start, (int)(end - start))));
    }

    /// <summary>Writes the nearest codes.</summary>
    /// <param name="values_N">Float32, all finite.</param>
    /// <param name="codes_N">Int16, contiguous, as long.</param>
    public static void Encode(Tensor values_N, Tensor codes_N)
    {
        if (!TensorMemory.SuitsKernelsElementwise(values_N))
        {
            InPieces(codes_N, values_N, (codes, values) => codes.copy_(CodeTensors.Encode(values, SixExponentBits.WithSign)));
            return;
        }

        var source = TensorMemory.Pointer<float>(values_N);
        var target = TensorMemory.Pointer<ushort>(codes_N);
        CpuTeam.Run(codes_N.numel(), ElementsOfARange, (_, start, end) =>
            CodeKernel.Encode<SignedCode>(new(source + start, (int)(end - start)), new(target + start, (int)(end - start))));
    }

    private static void InPieces(Tensor codes_N, Tensor floats_N, Action<Tensor, Tensor> piece)
    {
        for (long start = 0; start < codes_N.numel(); start += ElementsAtATime)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(ElementsAtATime, codes_N.numel() - start);
            piece(codes_N.narrow(0, start, count), floats_N.narrow(0, start, count));
        }
    }
}
