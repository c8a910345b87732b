using System.Net;
using Dalle.Silo.Hosting;
using Garnet;

namespace Dalle.Silo.Tests.Storage;

/// <summary>A Redis that belongs to no silo: a Garnet server with Lua, on a free port, with everything in memory.</summary>
internal sealed class SharedRedis : IDisposable
{
    private const string Password = "of-the-test";

    private readonly GarnetServer _server;

    public SharedRedis()
    {
        var port = FreePorts.Settle(IPAddress.Loopback, 0)[0];
        Address = $"127.0.0.1:{port}";
        _server = new GarnetServer(["-q", "--bind", "127.0.0.1", "--port", $"{port}", "--auth", "Password", "--password", Password, "--lua", "--memory", "64m", "--page", "1m", "--index", "8m"]);
        _server.Start();
    }

    public string Address { get; }

    public string ConnectionString => $"{Address},password={Password}";

    public void Dispose() => _server.Dispose();
}
