using System.Net;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Tests.Shared;
using Dalle.Workers.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Workers.Tests.Training;

public sealed class CheckpointErrorsTests : IDisposable
{
    private const int Step = 7, Rank = 4;

    private static readonly ParameterSpec[] Specs = [new("a", ParameterKind.Weight, 0, 1, 40, 64), new("b", ParameterKind.Weight, 0, 1, 64, 40)];

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    // Written by two replicas of two shards: whole numbers, whose sums and halves are exact.
    [Theory]
    [InlineData(true, 2, 2)]
    [InlineData(false, 2, 2)]
    [InlineData(true, 4, 2)]
    [InlineData(false, 4, 2)]
    [InlineData(true, 1, 3)]
    [InlineData(false, 2, 3)]
    [InlineData(true, 4, 1)]
    public void Buffers_OfAnyWorkers_AddUpToThoseThatWereWritten(bool scheduled, int replicas, int shards)
    {
        var written = Write(replicas: 2, shards: 2, scheduled);

        using var reader = Checkpoint.Open(_folder.FullName, "Prior");
        var errors = new CheckpointErrors(reader, GridOf(replicas, shards), Specs, new(Rank));
        for (var ordinal = 0; ordinal < shards; ordinal++)
        {
            var read = Enumerable.Range(0, replicas).Select(replica => errors.Read(replica, ordinal)).ToArray();
            Assert.Equal(Floats(BufferOf(shards, ordinal, name => written.Sum[name])), Floats(read.Aggregate((a, b) => a.add(b, One))));
            Assert.Equal(scheduled || (replicas, shards) != (2, 2), read.All(error => error.equal(read[0]).all().item<bool>()));
        }
    }

    [Fact]
    public void Buffers_OfAnUninterruptedWorker_AreItsOwn()
    {
        var written = Write(replicas: 2, shards: 2, scheduled: false);

        using var reader = Checkpoint.Open(_folder.FullName, "Prior");
        var errors = new CheckpointErrors(reader, GridOf(2, 2), Specs, new(Rank));

        Assert.Equal(Floats(BufferOf(2, 1, name => written.ByReplica[1][name])), Floats(errors.Read(replica: 1, ordinal: 1)));
    }

    [Fact]
    public void Buffers_WhereNothingWasCompressed_AreZero()
    {
        Write(replicas: 0, shards: 1, scheduled: false);

        using var reader = Checkpoint.Open(_folder.FullName, "Prior");
        var error_C = new CheckpointErrors(reader, GridOf(2, 1), Specs, new(Rank)).Read(0, 0);

        Assert.Equal((40 * 64) + (64 * 40), error_C.numel());
        Assert.Equal(0, error_C.abs().max().item<float>());
    }

    // Errors of every matrix by replica, and their sum.
    private (Dictionary<string, Tensor>[] ByReplica, Dictionary<string, Tensor> Sum) Write(int replicas, int shards, bool scheduled)
    {
        var byReplica = Enumerable.Range(0, replicas).Select(replica => Specs.ToDictionary(
            spec => spec.Name, spec => randint(-512, 512, spec.Shape, generator: new Generator((ulong)replica)).to(ScalarType.Float32).mul(Number(4)))).ToArray();
        var sum = Specs.ToDictionary(spec => spec.Name, spec => byReplica.Aggregate(zeros(spec.Shape), (total, replica) => total.add(replica[spec.Name], One)));
        var files = new List<CheckpointFile>();
        for (var ordinal = 0; ordinal < shards; ordinal++)
        {
            var slices = new ShardPlan(Specs, shards).Shards[ordinal].Slices;
            files.Add(Checkpoint.WriteFile(_folder.FullName, Checkpoint.StateFile(ordinal), Step, slices.Select(slice => ("parameters." + slice.Name, zeros(slice.Rows, slice.RowLength)))));
            foreach (var (replica, errors) in replicas == 0 ? [] : scheduled ? [(0, sum)] : byReplica.Index())
            {
                files.Add(Checkpoint.WriteFile(_folder.FullName, CheckpointErrors.FileOf(replica, ordinal, scheduled), Step, [("error", BufferOf(shards, ordinal, name => errors[name]))]));
            }
        }

        Checkpoint.Seal(_folder.FullName, "Prior", Step, files);
        return (byReplica, sum);
    }

    private static Tensor BufferOf(int shards, int ordinal, Func<string, Tensor> whole) => cat(
        [.. new ShardPlan(Specs, shards).Shards[ordinal].Slices.Select(slice => whole(slice.Name).narrow(0, slice.FirstRow, slice.Rows).flatten())]);

    private static WorkerGrid GridOf(int replicas, int shards) => new(replicas, shards, [new(new("here", new(IPAddress.Loopback, 0)), 0, replicas, 0, shards)], 0);

    private static float[] Floats(Tensor tensor) => tensor.data<float>().ToArray();
}
