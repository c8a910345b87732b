using System.Net;
using Dalle.Contracts.Cluster;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;

namespace Dalle.Client;

/// <summary>Opens cluster connections.</summary>
internal static class SiloConnection
{
    /// <exception cref="IOException">No silo answers.</exception>
    public static async Task<IHost> Open(SiloCard silo, DalleClientOptions options, CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.UseOrleansClient(client =>
        {
            client.UseStaticClustering(IPEndPoint.Parse(silo.Gateway));
            client.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (silo.ClusterId, silo.ClusterId));
            if (options.Certificate is { } certificate)
            {
                client.Configure<ClientConnectionOptions>(connections => connections.ConfigureConnection(connection => connection.UseClientTls(ClusterTls.OptionsFor(certificate))));
            }
        });
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellationToken).WaitAsync(options.ConnectTimeout, cancellationToken);
            return host;
        }
        catch (Exception error)
        {
            host.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            var hint = options.Certificate is null ? " If its cluster has a certificate, the client needs it too." : "";
            throw new IOException($"No silo answers at {silo.Gateway} ({error.Message.TrimEnd('.')}). Start one with 'dalle silo', or name the one that runs.{hint}", error);
        }
    }
}
