using Dalle.Contracts;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Cluster;

/// <summary>Clients whose only silo goes away.</summary>
public sealed class UnavailableClusterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Terminate")]
    [InlineData("Kill")]
    public async Task Calls_WhileTheOnlySiloGoesAndAfter_SayThatTheClusterIsUnavailable(string signal)
    {
        await using var silo = await SiloProcess.Start(_folder.FullName, new() { CallTimeout = TimeSpan.FromSeconds(3) });
        await silo.Client.ListModels(Token);

        var failures = new List<Exception>();
        var gone = silo.End(Enum.Parse<Signal>(signal));
        while (!gone.IsCompleted)
        {
            await Ask();
        }

        await gone;
        Assert.False(await Ask());

        Assert.All(failures, failure => Assert.True(failure is ClusterUnavailableException or TimeoutException, failure.ToString()));

        async Task<bool> Ask()
        {
            try
            {
                await silo.Client.ListModels(Token);
                return true;
            }
            catch (Exception failure)
            {
                failures.Add(failure);
                return false;
            }
        }
    }

    public void Dispose() => _folder.Dispose();
}
