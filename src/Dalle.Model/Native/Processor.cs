using System.Runtime.Intrinsics.X86;

namespace Dalle.Model.Native;

/// <summary>What this machine's processor can do, where neither .NET nor TorchSharp tells.</summary>
internal static class Processor
{
    /// <summary>
    /// Whether it multiplies bfloat16 by instructions of its own (AVX-512 BF16). On others libtorch emulates them, which is tens of times slower than 32 bit.
    /// </summary>
    public static bool MultipliesBFloat16 { get; } = HasAvx512BFloat16();

    /// <summary>Whether it has matrix tiles for bfloat16 (AMX), which oneDNN then uses for 32-bit products that may be computed in less.</summary>
    public static bool HasBFloat16Tiles { get; } = X86Base.IsSupported && (X86Base.CpuId(7, 0).Edx & (1 << 22)) != 0;

    // CPUID leaf 7, subleaf 1, bit 5 of EAX; that the operating system saves the wide registers is what IsSupported says.
    private static bool HasAvx512BFloat16() =>
        Avx512BW.IsSupported && X86Base.CpuId(7, 0).Eax >= 1 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
}
