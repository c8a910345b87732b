using System.Net;
using System.Net.Sockets;
using Dalle.Client;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Hosting;
using Microsoft.AspNetCore.Builder;

namespace Dalle.Cli.Hosting;

/// <summary>The cluster a command talks to: the silo that serves the data folder, or else one inside this process that lives as long as the command.</summary>
internal sealed class ClusterConnection : IAsyncDisposable
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(2);

    private readonly WebApplication? _embedded;

    private ClusterConnection(DalleClient client, string artifactDirectory, WebApplication? embedded) =>
        (Client, ArtifactDirectory, _embedded) = (client, artifactDirectory, embedded);

    public DalleClient Client { get; }

    /// <summary>Whether the silo lives in this process: it ends with the command, and its jobs stop with it.</summary>
    public bool IsEmbedded => _embedded is not null;

    /// <summary>Root of the artifact store.</summary>
    public string ArtifactDirectory { get; }

    /// <summary>Connects to the silo of the data folder, or starts one.</summary>
    public static async Task<ClusterConnection> Open(CommandContext context, CancellationToken cancellationToken)
    {
        if (await FindSilo(context.DataDirectory, cancellationToken) is { } card)
        {
            return new(await DalleClient.Connect(card, DalleSilo.ClientOptions(), cancellationToken), card.Artifacts, embedded: null);
        }

        // It is this command's alone, whomever the silo of the settings is to serve.
        var silo = SiloHost.Build(context, options => (options.HttpPort, options.Address, options.Http.Dashboard) = (0, IPAddress.Loopback.ToString(), false));
        try
        {
            await silo.StartAsync(cancellationToken);
            return new(DalleClient.For(silo.Services), SiloCard.Read(context.DataDirectory)!.Artifacts, silo);
        }
        catch
        {
            await silo.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether a living silo serves the data folder.</summary>
    public static async Task<bool> IsServed(string dataDirectory, CancellationToken cancellationToken) => await FindSilo(dataDirectory, cancellationToken) is not null;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        if (_embedded is not null)
        {
            await _embedded.StopAsync();
            await _embedded.DisposeAsync();
        }
    }

    /// <summary>A silo that was killed leaves its card behind: only an open gateway counts.</summary>
    private static async Task<SiloCard?> FindSilo(string dataDirectory, CancellationToken cancellationToken)
    {
        if (SiloCard.Read(dataDirectory) is not { } card)
        {
            return null;
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ProbeTimeout);
        try
        {
            using var probe = new TcpClient();
            await probe.ConnectAsync(IPEndPoint.Parse(card.Gateway), deadline.Token);
            return card;
        }
        catch (Exception exception) when (exception is SocketException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null;
        }
    }
}
