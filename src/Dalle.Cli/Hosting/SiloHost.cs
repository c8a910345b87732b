using Dalle.Silo.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Dalle.Cli.Hosting;

/// <summary>A silo as this process hosts it: its log goes to standard error, and signals are the command's to handle.</summary>
internal static class SiloHost
{
    public static WebApplication Build(CommandContext context, Action<SiloOptions> configure, LogLevel level = LogLevel.None)
    {
        var builder = DalleSilo.CreateBuilder(configure: options =>
        {
            options.DataFolder = context.DataDirectory;
            configure(options);
        });
        builder.Logging.ClearProviders();
        builder.Logging.SetMinimumLevel(context.Verbose ? LogLevel.Information : level);
        if (!context.Verbose)
        {
            // Orleans advises server GC, which would take memory from the tensors, and its watchdog mistakes its first look for a stall of hours.
            builder.Logging.AddFilter("Orleans.Runtime.Silo", LogLevel.Error).AddFilter("Orleans.Runtime.Watchdog", LogLevel.Error);

            // Why the host did not start is what the command ends with, in one line.
            builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        }

        builder.Logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss "));
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();
        return DalleSilo.Build(builder);
    }

    /// <summary>The command says when the host ends. The default lifetime would stop the silo on a signal before the command could pause its job.</summary>
    private sealed class CommandLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
