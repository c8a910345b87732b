using Dalle.Client;
using Dalle.Grains.Hosting;
using Dalle.Silo.Http;
using Dalle.Silo.Storage;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Generation;
using Dalle.Workers.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Dashboard;

namespace Dalle.Silo.Hosting;

/// <summary>A whole silo in one host: Orleans, storage, workers and the HTTP API.</summary>
public static class DalleSilo
{
    /// <summary>Variables of the environment that begin so are settings: <c>DALLE_HTTPPORT</c> is <c>Dalle:HttpPort</c>.</summary>
    public const string EnvironmentPrefix = "DALLE_";

    /// <summary>Time a stopping silo has for everything but its running stages. The host's own default would cut off the checkpoint of a large model.</summary>
    private static readonly TimeSpan LeaveTimeout = TimeSpan.FromSeconds(30);

    /// <summary>A host configured, from the weakest to the strongest, by appsettings.json, the environment, the command line and <paramref name="configure"/>.</summary>
    public static WebApplicationBuilder CreateBuilder(string[]? args = null, Action<SiloOptions>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(PrefixedEnvironment()).AddCommandLine(args ?? []);
        builder.Logging.AddFilter("ArgParser", LogLevel.Error).AddFilter("GarnetServer", LogLevel.Warning);

        // The embedded store warns that it asks its clients for no certificate: they show a password.
        builder.Logging.AddFilter("Options", LogLevel.Error);
        builder.Services.AddOptions<SiloOptions>()
            .Bind(builder.Configuration.GetSection(SiloOptions.Section))
            .Configure(configure ?? (_ => { }));
        builder.Services.AddSingleton<IValidateOptions<SiloOptions>, SiloOptionsValidator>();
        builder.Services.AddSingleton<DataFolder>();
        builder.Services.AddOptions<WorkerOptions>()
            .Bind(builder.Configuration.GetSection($"{SiloOptions.Section}:Worker"));
        builder.Services.AddOptions<GeneratorOptions>()
            .Bind(builder.Configuration.GetSection($"{SiloOptions.Section}:Generator"));
        builder.Services.AddSingleton(provider => new ArtifactStore(provider.GetRequiredService<ClusterArtifacts>().Folder));
        var options = builder.Configuration.GetSection(SiloOptions.Section).Get<SiloOptions>() ?? new();
        configure?.Invoke(options);
        builder.UseOrleans(silo =>
        {
            silo.AddDalleCluster().AddDalleGrains().AddDalleWorkers();
            if (Telemetry.IsSent(builder))
            {
                silo.AddActivityPropagation();
            }

            if (options.Http.Dashboard)
            {
                silo.AddDashboard();
            }
        });
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<WorkerOptions>>((host, worker) => host.ShutdownTimeout = worker.Value.StopTimeout + LeaveTimeout);
        builder.AddDalleTelemetry();
        builder.Services.AddHostedService<StoreCheck>();
        builder.Services.AddHostedService<SiloAnnouncement>();
        builder.Services.AddHostedService<JobWaking>();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<SiloOptions>>((kestrel, silo) =>
        {
            kestrel.Listen(silo.Value.ListenAddress, silo.Value.HttpPort);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = silo.Value.MaxRequestBytes;
        });
        builder.Services.AddDalleHttp();
        return builder;
    }

    /// <summary>The host with its HTTP routes. Starting it takes the data folder and joins the cluster.</summary>
    /// <exception cref="OptionsValidationException">A setting is not valid; the message names it.</exception>
    public static WebApplication Build(WebApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var app = builder.Build();
        app.MapDalleHttp();
        return app;
    }

    /// <inheritdoc cref="CreateBuilder"/>
    public static WebApplication Create(string[]? args = null, Action<SiloOptions>? configure = null) => Build(CreateBuilder(args, configure));

    /// <summary>How a program on this machine connects to its silo: with the cluster's certificate, if the environment names one.</summary>
    /// <exception cref="IOException">The certificate cannot be read.</exception>
    public static DalleClientOptions ClientOptions()
    {
        var options = new ConfigurationBuilder().AddInMemoryCollection(PrefixedEnvironment()).Build().GetSection(SiloOptions.Section).Get<SiloOptions>() ?? new();
        return new() { Certificate = options.ClusterCertificate is { } file ? ClusterCertificate.Load(file, options.ClusterCertificatePassword) : null };
    }

    private static IEnumerable<KeyValuePair<string, string?>> PrefixedEnvironment() =>
        new ConfigurationBuilder().AddEnvironmentVariables(EnvironmentPrefix).Build().AsEnumerable()
            .Select(setting => KeyValuePair.Create($"{SiloOptions.Section}:{setting.Key}", setting.Value));
}
