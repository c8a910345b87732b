using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Dalle.Benchmarks;

/// <summary>A peer in Debian's PyTorch (packages <c>python3-torch</c> and <c>libopenblas0-openmp</c>), given the libraries and the allocator it is fastest with.</summary>
internal static class PeerScript
{
    private const string Python = "/usr/bin/python3";

    private static readonly Lazy<bool> HasTorch = new(() => File.Exists(Python) && Run("-c", "import torch") is not null);

    // Two threads; a real BLAS, which has no kernels of its own for newer processors with AVX-512; freed memory is kept, as this system does too.
    private static readonly (string Name, string Value)[] Environment =
    [
        ("OPENBLAS_CORETYPE", Avx512F.IsSupported ? "SkylakeX" : "Haswell"), ("OMP_NUM_THREADS", "2"),
        ("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "100000000000"), ("MALLOC_TOP_PAD_", "268435456"),
    ];

    /// <summary>The number that a script in <c>peers/</c> prints on its last line; null where there is no PyTorch.</summary>
    public static double? Measure(string script, params string[] arguments)
    {
        if (!HasTorch.Value)
        {
            return null;
        }

        var output = Run([Path.Combine(ProjectFolder(), "peers", script), .. arguments])
            ?? throw new InvalidOperationException($"The peer {script} failed; run it by hand to see why.");
        return double.Parse(output.TrimEnd().Split('\n')[^1], CultureInfo.InvariantCulture);
    }

    private static string? Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in Environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : null;
    }

    private static string ProjectFolder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
