using System.Net;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Storage;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Dalle.Silo.Hosting;

/// <summary>Once the silo serves, says where in the data folder.</summary>
internal sealed partial class SiloAnnouncement(
    DataFolder folder, ILocalSiloDetails self, IOptions<ClusterOptions> cluster, ClusterStore store, ClusterArtifacts artifacts, IServer server, ILogger<SiloAnnouncement> logger)
    : IHostedLifecycleService
{
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        var gateway = self.GatewayAddress.Endpoint;
        var http = server.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First();
        new SiloCard(Environment.ProcessId, gateway.ToString(), http, cluster.Value.ClusterId, artifacts.Folder, store.JoinAddress).Write(folder.Path);
        LogServing(logger, http, gateway, folder.Path);
        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Information, Message = "Serving {Http}, cluster gateway {Gateway}, data folder {Folder}")]
    private static partial void LogServing(ILogger logger, string http, IPEndPoint gateway, string folder);
}
