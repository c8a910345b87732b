using System.Net;
using Dalle.Contracts.Cluster;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;

namespace Dalle.Client;

/// <summary>Opens cluster connections.</summary>
internal static class SiloConnection
{
    public static IGrainFactory Grains(IHost connection) => connection.Services.GetRequiredService<IClusterClient>();

    public static async Task<IHost> OpenAsync(string silo, DalleClientOptions options, CancellationToken cancellationToken)
    {
        var (gateway, clusterId) = Locate(silo, options);
        var builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.UseOrleansClient(client =>
        {
            client.UseStaticClustering(gateway);
            client.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (clusterId, clusterId));
        });
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellationToken).WaitAsync(options.ConnectTimeout, cancellationToken);
            return host;
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            host.Dispose();
            throw new IOException($"No silo answers at {gateway} ({error.Message.TrimEnd('.')}). Start one with 'dalle silo', or name the one that runs.", error);
        }
    }

    private static (IPEndPoint Gateway, string ClusterId) Locate(string silo, DalleClientOptions options)
    {
        if (IPEndPoint.TryParse(silo, out var gateway) && gateway.Port != 0)
        {
            return (gateway, options.ClusterId);
        }

        return SiloCard.Read(silo) is { } card
            ? (IPEndPoint.Parse(card.Gateway), card.ClusterId)
            : throw new IOException($"No silo serves '{Path.GetFullPath(silo)}': there is no {SiloCard.FileName} in it. Start one with 'dalle silo', or name a gateway as address:port.");
    }
}
