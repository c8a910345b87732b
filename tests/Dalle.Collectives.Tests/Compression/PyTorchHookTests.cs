using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dalle.Collectives.Compression;
using Dalle.Model.Parameters;
using Dalle.Tests.Shared;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>The same updates by PyTorch's own hook: two processes, given the same gradients and projections. At rank 4, for at rank 1 it makes no numbers of zeros.</summary>
public sealed class PyTorchHookTests
{
    private const string Python = "/usr/bin/python3";
    private const int Rank = 4, Updates = 3;

    private static readonly ParameterSpec[] Specs =
        [Weight("wide", 21, 67), Weight("tall", 83, 19), Weight("square", 32, 32), Weight("wide.2", 21, 67), new("bias", ParameterKind.Bias, 0, 0, 11)];

    [Fact]
    public async Task MeansAndErrors_OfTwoReplicas_AreThoseOfTheHook()
    {
        if (!File.Exists(Python) || await Run("-c", "import torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook") is not { ExitCode: 0 })
        {
            Assert.Skip($"There is no PyTorch for {Python} here.");
        }

        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var random = new Generator(1, CPU);
        using var group = new ReplicaGroup(PlanOf(Rank, Specs), replicas: 2);
        var count = group.Plan.Shard.Count;
        var gradients = Enumerable.Range(0, 2).Select(_ => randn([Updates, count], generator: random)).ToArray();
        Write(folder.File("projections.bin"), ProjectionsInOrder(group.Plan));
        Write(folder.File("gradients-0.bin"), gradients[0]);
        Write(folder.File("gradients-1.bin"), gradients[1]);

        string[] arguments = [$"{Rank}", $"{Updates}", .. Specs.Select(spec => string.Join('x', spec.Shape))];
        var runs = await Task.WhenAll(Enumerable.Range(0, 2).Select(replica => Run([Path.Combine(Folder(), "powersgd_hook.py"), folder.FullName, $"{replica}", .. arguments])));
        Assert.All(runs, run => Assert.True(run.ExitCode == 0, run.Error));

        for (var update = 0; update < Updates; update++)
        {
            var mean = group.Update(gradients[0][update], gradients[1][update]);
            AssertNear(Read(folder.File("means-0.bin")).view(Updates, count)[update], mean);
            AssertNear(Read(folder.File("means-1.bin")).view(Updates, count)[update], mean);
        }

        AssertNear(Read(folder.File("errors-0.bin")).narrow(0, 0, group.Plan.CompressedCount), group.Error(0));
        AssertNear(Read(folder.File("errors-1.bin")).narrow(0, 0, group.Plan.CompressedCount), group.Error(1));
    }

    /// <summary>The projections as [longer side, rank], in the hook's order: matrices of one shape follow each other there as here.</summary>
    private static Tensor ProjectionsInOrder(CompressionPlan plan)
    {
        using var projections = new Projections(plan, seed: 1, CPU);
        return cat([.. plan.Batches.Select(batch =>
            projections.Of(0).narrow(0, batch.RightOffset, batch.RightCount).view(batch.Size, batch.Rank, batch.Longer).transpose(1, 2).contiguous().view(-1))]);
    }

    private static void AssertNear(Tensor expected, Tensor actual) => Assert.InRange((actual - expected).norm().item<float>() / expected.norm().item<float>(), 0, 1e-4);

    private static void Write(string path, Tensor values) => File.WriteAllBytes(path, values.contiguous().bytes.ToArray());

    private static Tensor Read(string path) => tensor(MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(path)).ToArray());

    private static async Task<(int ExitCode, string Error)> Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(Python, arguments) { RedirectStandardError = true })!;
        try
        {
            var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return (process.ExitCode, error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
