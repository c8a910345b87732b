using System.Net;
using System.Net.NetworkInformation;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using EndpointOptions = Orleans.Configuration.EndpointOptions;

namespace Dalle.Silo.Tests.Hosting;

public sealed class DalleSiloTests
{
    [Fact]
    public async Task Silo_Running_AnnouncesItselfAndIsHealthy_AndTakesTheCardAwayWhenItStops()
    {
        await using var silo = new RunningSilo();
        await silo.InitializeAsync();
        using var http = new HttpClient { BaseAddress = silo.Http };

        var card = SiloCard.Read(silo.DataFolder);

        Assert.Equal(new SiloCard(Environment.ProcessId, card!.Gateway, silo.Http.ToString().TrimEnd('/'), "dalle", Path.Combine(silo.DataFolder, "artifacts")), card);
        Assert.Equal(IPAddress.Loopback, IPEndPoint.Parse(card.Gateway).Address);
        Assert.Equal("Healthy", await http.GetStringAsync("/health/live", TestContext.Current.CancellationToken));
        Assert.Equal("Healthy", await http.GetStringAsync("/health/ready", TestContext.Current.CancellationToken));

        await silo.Stop();
        Assert.Null(SiloCard.Read(silo.DataFolder));
    }

    /// <summary>The API asks for a key; the cluster's ports do not.</summary>
    [Fact]
    public async Task Silo_ThatServesOtherMachines_KeepsItsClusterPortsToThisOne()
    {
        await using var silo = new RunningSilo { Configure = options => (options.Address, options.Http.ApiKey) = ("0.0.0.0", "a-key-of-some-length") };
        await silo.InitializeAsync();

        var listening = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners();
        var cluster = silo.Services.GetRequiredService<IOptions<EndpointOptions>>().Value;

        Assert.Equal(IPAddress.Any, listening.Single(endpoint => endpoint.Port == silo.Http.Port).Address);
        Assert.Equal(IPAddress.Loopback, listening.Single(endpoint => endpoint.Port == cluster.SiloPort).Address);
        Assert.Equal(IPAddress.Loopback, listening.Single(endpoint => endpoint.Port == cluster.GatewayPort).Address);
    }

    [Fact]
    public async Task Silo_OnAFolderInUse_IsRefusedByName()
    {
        await using var first = new RunningSilo();
        await first.InitializeAsync();
        await using var second = DalleSilo.Create(configure: options => (options.DataFolder, options.HttpPort) = (first.DataFolder, 0));

        var error = await Assert.ThrowsAsync<IOException>(() => second.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains($"'{first.DataFolder}' is in use by a silo, process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--Dalle:HttpPort=70000", "Dalle:HttpPort")]
    [InlineData("--Dalle:AdvertisedDataPort=0", "Dalle:AdvertisedDataPort")]
    [InlineData("--Dalle:Address=localhost", "Dalle:Address: expected an IP address such as 127.0.0.1, got 'localhost'.")]
    [InlineData("--Dalle:Http:RequestsPerMinute=0", "Dalle:Http:RequestsPerMinute")]
    [InlineData("--Dalle:ClusterAddress=localhost", "Dalle:ClusterAddress: expected an IP address such as 127.0.0.1, got 'localhost'.")]
    [InlineData("--Dalle:ClusterAddress=0.0.0.0", "Dalle:AdvertisedAddress")]
    [InlineData("--Dalle:DataFolder=", "Dalle:DataFolder")]
    [InlineData("--Dalle:Redis=127.0.0.1:6379,shape=round", "Dalle:Redis: expected a connection string such as 127.0.0.1:6379; Keyword 'shape' is not supported.")]
    [InlineData("--Dalle:Redis=localhost:99999", "Dalle:Redis: expected a connection string such as 127.0.0.1:6379; port ('99999')")]
    [InlineData("--Dalle:Redis=password=secret", "Dalle:Redis: expected a connection string such as 127.0.0.1:6379, got one that names no server.")]
    public void Silo_WithABadSetting_IsNotBuilt_AndTheErrorNamesTheSetting(string argument, string named)
    {
        var error = Assert.Throws<OptionsValidationException>(() => DalleSilo.Create([argument]));

        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_ToldToStop_WaitsAtLeastAsLongAsAStageMayTakeToSave()
    {
        await using var silo = DalleSilo.Create(["--Dalle:Worker:StopTimeout=00:10:00"]);

        Assert.InRange(silo.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(11));
    }

    [Fact]
    public async Task Settings_ComeFromTheEnvironment_ThenTheCommandLine_ThenCode()
    {
        Environment.SetEnvironmentVariable("DALLE_CLUSTERID", "environment");
        Environment.SetEnvironmentVariable("DALLE_SILOPORT", "1");
        Environment.SetEnvironmentVariable("DALLE_GATEWAYPORT", "1");
        await using var silo = DalleSilo.Create(["--Dalle:SiloPort=2", "--Dalle:GatewayPort=2"], options => options.GatewayPort = 3);

        var options = silo.Services.GetRequiredService<IOptions<SiloOptions>>().Value;

        Assert.Equal(("environment", 2, 3), (options.ClusterId, options.SiloPort, options.GatewayPort));
        Environment.SetEnvironmentVariable("DALLE_CLUSTERID", null);
        Environment.SetEnvironmentVariable("DALLE_SILOPORT", null);
        Environment.SetEnvironmentVariable("DALLE_GATEWAYPORT", null);
    }
}
