using Dalle.Model.Native;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Generation;
using Dalle.Workers.Shards;
using Dalle.Workers.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Hosting;

/// <summary>Adds what computes to a silo.</summary>
public static class WorkersHosting
{
    /// <summary>Adds the device, the artifact store and the worker grains' services.</summary>
    public static ISiloBuilder AddDalleWorkers(this ISiloBuilder silo, Action<WorkerOptions>? configure = null)
    {
        silo.Services.AddDalleWorkers(configure);
        silo.Services.AddOptions<GeneratorOptions>().ValidateOnStart();
        silo.Services.AddSingleton<IValidateOptions<GeneratorOptions>, GeneratorOptionsValidator>();
        silo.Services.AddSingleton<GenerationEngine>();
        silo.Services.AddSingleton(provider => new GeneratorReadiness(provider.GetRequiredService<GenerationEngine>()));
        silo.Services.AddOptions<DataPlaneOptions>();
        silo.Services.AddMetrics();
        silo.Services.AddSingleton<TrainingInstruments>();
        silo.Services.AddSingleton<GenerationInstruments>();
        silo.Services.AddSingleton<DataPlane>();
        silo.Services.AddSingleton<JobShardDirectory>();
        silo.Services.AddSingleton<WorkerDrain>();
        silo.Services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(provider => provider.GetRequiredService<WorkerDrain>());
        silo.Services.AddSingleton<IStage, PrepareStage>();
        silo.Services.AddSingleton<IStage, TokenizerStage>();
        silo.Services.AddSingleton<IStage, DiscreteVaeStage>();
        silo.Services.AddSingleton<IStage, EncodeStage>();
        silo.Services.AddSingleton<IStage, PriorStage>();
        silo.Services.AddSingleton<IStage, RerankerStage>();
        silo.Services.AddSingleton<IStage, PublishStage>();
        return silo;
    }

    /// <summary>Adds the device and the artifact store; for a host without a cluster.</summary>
    public static IServiceCollection AddDalleWorkers(this IServiceCollection services, Action<WorkerOptions>? configure = null)
    {
        // Anything that touches libtorch before this may fail to load it.
        TorchRuntime.Initialize();
        services.AddOptions<WorkerOptions>().Configure(configure ?? (_ => { })).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WorkerOptions>, WorkerOptionsValidator>());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(provider => new ArtifactStore(Options(provider).ArtifactFolder));
        services.TryAddSingleton(provider => new DeviceThread(DeviceSelection.Of(Options(provider).Device), Options(provider).DeviceThreads, Options(provider).DeviceQueue));
        return services;
    }

    private static WorkerOptions Options(IServiceProvider provider) => provider.GetRequiredService<IOptions<WorkerOptions>>().Value;
}
