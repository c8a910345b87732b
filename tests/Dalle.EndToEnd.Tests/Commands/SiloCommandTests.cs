using System.Net;
using System.Net.Sockets;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Commands;

/// <summary><c>dalle silo</c> where it cannot serve: one line says why, and no log beside it.</summary>
public sealed class SiloCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task Silo_WithARedisThatIsNotThere_SaysSoInOneLine()
    {
        // Bound, but nobody listens: refused, and no one else can take the port.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        var result = await Silo("--redis", $"{socket.LocalEndPoint},connectRetry=1,connectTimeout=1000");

        Assert.Equal((1, ""), (result.ExitCode, result.Output));
        Assert.StartsWith($"dalle: No Redis answers at {socket.LocalEndPoint}, ", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silo_OnAFolderThatAnotherServes_SaysSoInOneLine()
    {
        await using var first = await SiloProcess.Start(_folder.FullName);

        var result = await Silo();

        Assert.Equal((1, ""), (result.ExitCode, result.Output));
        Assert.StartsWith($"dalle: Data folder '{_folder.FullName}' is in use by a silo, process ", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silo_ThatOthersCouldReach_WithoutAKey_SaysSoInOneLine()
    {
        var result = await Silo("--address", "0.0.0.0");

        Assert.Equal((1, ""), (result.ExitCode, result.Output));
        Assert.StartsWith("dalle: Dalle:Address: 0.0.0.0 can be reached from other machines, so clients must show a key, and there is none", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private Task<DalleProcess.Result> Silo(params string[] options) => DalleProcess.Run(["silo", "--http-port", "0", "--data-dir", _folder.FullName, .. options]);
}
