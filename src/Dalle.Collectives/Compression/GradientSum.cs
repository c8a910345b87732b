using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dalle.Model.Kernels;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>Adds gradients up, and sees in the same pass whether they are finite.</summary>
internal static unsafe class GradientSum
{
    private const int ElementsOfARange = 1 << 15;

    /// <summary>Writes base + gradient, or the gradient alone without a base. All are contiguous and of one length.</summary>
    /// <param name="basis_N">Float32, or int16 for the codes of <see cref="SignedCode"/>; may be the target.</param>
    /// <param name="gradient_N">Float32.</param>
    /// <param name="target_N">Float32.</param>
    /// <returns>Whether the whole gradient is finite.</returns>
    public static bool Write(Tensor? basis_N, Tensor gradient_N, Tensor target_N)
    {
        if (TensorMemory.SuitsKernelsElementwise(gradient_N))
        {
            return Vector512.IsHardwareAccelerated ? Write<Lanes16>(basis_N, gradient_N, target_N) : Write<Lanes8>(basis_N, gradient_N, target_N);
        }

        if (basis_N is null)
        {
            target_N.copy_(gradient_N);
        }
        else
        {
            if (basis_N.dtype == ScalarType.Int16)
            {
                ErrorCodes.Decode(basis_N, target_N);
            }
            else if (basis_N.Handle != target_N.Handle)
            {
                target_N.copy_(basis_N);
            }

            target_N.add_(gradient_N, One);
        }

        return gradient_N.isfinite().all().item<bool>();
    }

    /// <summary><see cref="Write(Tensor, Tensor, Tensor)"/> with vectors of one length.</summary>
    public static bool Write<TLanes>(Tensor? basis_N, Tensor gradient_N, Tensor target_N)
        where TLanes : unmanaged, ILanes<TLanes>
        => basis_N?.dtype == ScalarType.Int16
            ? Write<TLanes, SignedCode>(basis_N, gradient_N, target_N)
            : Write<TLanes, Float32>(basis_N, gradient_N, target_N);

    private static bool Write<TLanes, TBasis>(Tensor? basis_N, Tensor gradient_N, Tensor target_N)
        where TLanes : unmanaged, ILanes<TLanes>
        where TBasis : unmanaged, IMoment<TBasis>
    {
        var basis = basis_N is null ? null : TensorMemory.Pointer<TBasis>(basis_N);
        var gradient = TensorMemory.Pointer<float>(gradient_N);
        var target = TensorMemory.Pointer<float>(target_N);
        var bad = 0;
        CpuTeam.Run(gradient_N.numel(), ElementsOfARange, (_, start, end) =>
        {
            if (!Write<TLanes, TBasis>(basis is null ? null : basis + start, gradient + start, target + start, end - start))
            {
                Interlocked.Exchange(ref bad, 1);
            }
        });
        return bad == 0;
    }

    // A finite number times 0 is 0; any other is no number, and stays one in the sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Write<TLanes, TBasis>(TBasis* basis, float* gradient, float* target, long count)
        where TLanes : unmanaged, ILanes<TLanes>
        where TBasis : unmanaged, IMoment<TBasis>
    {
        TLanes zero = default, check = default;
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var value = TLanes.Load(gradient + i);
            check.AddProduct(value, zero);
            (basis is null ? value : TBasis.Load<TLanes>(basis + i) + value).Store(target + i);
        }

        var rest = TLanes.Sum(check);
        for (; i < count; i++)
        {
            rest += gradient[i] * 0;
            target[i] = basis is null ? gradient[i] : TBasis.Read(basis + i) + gradient[i];
        }

        return rest == 0;
    }
}
