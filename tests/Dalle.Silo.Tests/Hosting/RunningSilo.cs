using Dalle.Silo.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dalle.Silo.Tests.Hosting;

/// <summary>A silo in this process, on free ports and a folder of its own.</summary>
public sealed class RunningSilo : IAsyncLifetime
{
    private WebApplication? _app;

    public string DataFolder { get; init; } = Directory.CreateTempSubdirectory("dalle-silo-").FullName;

    /// <summary>Settings beyond the folder and the port.</summary>
    public Action<SiloOptions> Configure { get; init; } = _ => { };

    public Action<IServiceCollection> ConfigureServices { get; init; } = _ => { };

    public IServiceProvider Services => _app!.Services;

    /// <summary>Where this machine reaches it.</summary>
    public Uri Http => new(_app!.Urls.First().Replace("//0.0.0.0:", "//127.0.0.1:", StringComparison.Ordinal));

    public async ValueTask InitializeAsync()
    {
        var builder = DalleSilo.CreateBuilder(configure: options =>
        {
            (options.DataFolder, options.HttpPort) = (DataFolder, 0);
            Configure(options);
        });
        ConfigureServices(builder.Services);
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        _app = DalleSilo.Build(builder);
        await _app.StartAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        Directory.Delete(DataFolder, recursive: true);
    }

    public async Task Stop()
    {
        if (_app is { } app)
        {
            _app = null;
            await app.StopAsync(CancellationToken.None);
            await app.DisposeAsync();
        }
    }
}
