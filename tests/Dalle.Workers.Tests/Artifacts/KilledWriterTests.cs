using System.Diagnostics;
using System.Runtime.CompilerServices;
using Dalle.Workers.Artifacts;

namespace Dalle.Workers.Tests.Artifacts;

/// <summary>A process that is killed while it writes: this one, begun anew and told to die between the last byte and the new name.</summary>
public sealed class KilledWriterTests : IDisposable
{
    private const string Variable = "DALLE_TEST_KILLED_WRITER";
    private const string Key = "jobs/a/state.bin";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dalle-killed-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Write_KilledBeforeTheName_LeavesWhatWasThere_AndTheNextWriteSucceeds(bool old)
    {
        var store = new ArtifactStore(_folder.FullName);
        if (old)
        {
            store.Write(Key, stream => stream.Write("old"u8));
        }

        await WriteAndDie();

        Assert.Equal(old, store.Exists(Key));
        Assert.Equal(old ? "old" : null, old ? Read(store) : null);
        store.Write(Key, stream => stream.Write("next"u8));
        Assert.Equal("next", Read(store));
        Assert.Equal([Key], store.ListFiles("jobs/a"));
    }

    [Fact]
    public async Task Files_OfAKilledWriter_AreNotListed()
    {
        await WriteAndDie();

        Assert.NotEmpty(Directory.GetFiles(Path.Combine(_folder.FullName, "jobs", "a")));
        Assert.Empty(new ArtifactStore(_folder.FullName).ListFiles("jobs/a"));
    }

    private static string Read(ArtifactStore store)
    {
        using var reader = new StreamReader(store.Open(Key));
        return reader.ReadToEnd();
    }

    private async Task WriteAndDie()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[Variable] = _folder.FullName;
        using var writer = Process.Start(start)!;
        await writer.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.NotEqual(0, writer.ExitCode);
    }

    [ModuleInitializer]
    internal static void BeTheWriter()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } folder)
        {
            new ArtifactStore(folder).Write(Key, stream =>
            {
                stream.Write("new"u8);
                stream.Flush();
                using var self = Process.GetCurrentProcess();
                self.Kill();
                self.WaitForExit();
            });
        }
    }
}
