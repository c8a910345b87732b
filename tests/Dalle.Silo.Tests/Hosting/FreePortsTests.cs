using System.Net;
using Dalle.Silo.Hosting;

namespace Dalle.Silo.Tests.Hosting;

public sealed class FreePortsTests
{
    [Fact]
    public void Settle_KeepsWantedPorts_AndFindsDifferentOnesForZeros()
    {
        var ports = FreePorts.Settle(IPAddress.Loopback, 5, 0, 0, 0);

        Assert.Equal(5, ports[0]);
        Assert.Equal(4, ports.Distinct().Count());
        Assert.All(ports, port => Assert.NotEqual(0, port));
    }
}
