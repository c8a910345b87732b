using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Contracts.Cluster;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle silo</c>: serves the data folder until it is told to stop.</summary>
internal static class SiloCommand
{
    public static Command Create()
    {
        var httpPort = new Option<int?>("--http-port") { Description = "Port of the HTTP API; 0 for a free one. Default: 8080.", HelpName = "PORT" }.Within(0, 65535);
        var address = new Option<string?>("--address") { Description = "Address the HTTP API listens on. Default: 127.0.0.1, this machine only.", HelpName = "IP" };
        var redis = new Option<string?>("--redis") { Description = "A Redis, Valkey or Garnet for cluster state. Default: a store of its own in the data folder.", HelpName = "HOST:PORT" };
        var join = new Option<string?>("--join") { Description = "Join the cluster of the silo that printed this; $DALLE_CLUSTERSECRET must be the same there. Default: a cluster of its own.", HelpName = "HOST:PORT" };
        var command = new Command("silo", "Serve: run training jobs, draw pictures, answer the HTTP API.") { httpPort, address, redis, join };
        command.SetAction((parsed, cancellationToken) => Run(
            CommandContext.Of(parsed),
            options =>
            {
                options.HttpPort = parsed.GetValue(httpPort) ?? options.HttpPort;
                options.Address = parsed.GetValue(address) ?? options.Address;
                options.Redis = parsed.GetValue(redis) ?? options.Redis;
                options.Join = parsed.GetValue(join) ?? options.Join;
            },
            cancellationToken));
        return command;
    }

    private static async Task<int> Run(CommandContext context, Action<SiloOptions> configure, CancellationToken cancellationToken)
    {
        await using var silo = SiloHost.Build(context, configure, LogLevel.Warning);
        try
        {
            await silo.StartAsync(cancellationToken);
        }
        catch (OptionsValidationException)
        {
            // That there is no key shows only once the silo is in its cluster: it leaves in order.
            await silo.StopAsync(CancellationToken.None);
            throw;
        }

        var card = SiloCard.Read(context.DataDirectory);
        context.Terminal.WriteJsonLine(card);
        context.Terminal.SayLine($"Serving {card?.Http} from {context.DataDirectory}. Ctrl-C stops it; running jobs write a checkpoint and go on at the next start.");
        if (card?.Join is { } address)
        {
            context.Terminal.SayLine($"Other silos join with --join {address} and the same {SiloOptions.SecretVariable}.");
        }

        await silo.WaitForShutdownAsync(cancellationToken);
        return ExitCodes.Success;
    }
}
