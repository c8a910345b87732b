using System.ComponentModel.DataAnnotations;
using Dalle.Workers.Devices;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Hosting;

/// <summary>How this host computes: its device and where its files are.</summary>
public sealed class WorkerOptions
{
    /// <summary>Folder of checkpoints, token caches and published models; silos of one cluster share it. Default: <c>artifacts</c> in the working folder.</summary>
    [Required(ErrorMessage = "WorkerOptions.ArtifactFolder: expected a folder, got nothing.")]
    public string ArtifactFolder { get; set; } = "artifacts";

    /// <summary>Device to compute on: <c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, ... Default: <c>auto</c>, the first graphics card if libtorch finds one, else the processor.</summary>
    [Required]
    [RegularExpression(DeviceSelection.Pattern, ErrorMessage = "WorkerOptions.Device: expected auto, cpu, cuda or cuda:N.")]
    public string Device { get; set; } = DeviceSelection.Automatic;

    /// <summary>libtorch threads of work that does not bring its own count (training jobs do). Default: the machine's processors.</summary>
    [Range(1, 1024, ErrorMessage = "WorkerOptions.DeviceThreads: expected 1 to 1024 threads.")]
    public int DeviceThreads { get; set; } = Environment.ProcessorCount;

    /// <summary>Pieces of work that may wait for the device; further callers wait for a place. Default: 64.</summary>
    [Range(1, 65_536, ErrorMessage = "WorkerOptions.DeviceQueue: expected 1 to 65536 places.")]
    public int DeviceQueue { get; set; } = 64;

    /// <summary>Longest time a stopping silo waits for running stages to reach a step boundary and save. Default: 60 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00", ErrorMessage = "WorkerOptions.StopTimeout: expected 0 seconds to 1 hour.")]
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(60);
}

/// <summary>Checks <see cref="WorkerOptions"/> when the host starts.</summary>
[OptionsValidator]
internal sealed partial class WorkerOptionsValidator : IValidateOptions<WorkerOptions>;
