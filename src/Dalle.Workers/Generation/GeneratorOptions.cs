using System.ComponentModel.DataAnnotations;
using Dalle.Model.Sampling;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Generation;

/// <summary>How this host generates.</summary>
public sealed class GeneratorOptions
{
    /// <summary>Slots of a model: pictures sampled together, where a guided one counts as two. More raise throughput and memory. Default: 64.</summary>
    [Range(2, 4096, ErrorMessage = "GeneratorOptions.Slots: expected 2 to 4096 slots.")]
    public int Slots { get; set; } = 64;

    /// <summary>Bytes that the keys and values of a model's pictures and captions may take; there are fewer slots where they would take more. Default: 4 GiB.</summary>
    [Range(1L << 20, 1L << 46, ErrorMessage = "GeneratorOptions.CacheBytes: expected 1 MiB to 64 TiB.")]
    public long CacheBytes { get; set; } = 4L << 30;

    /// <summary>How models on the CPU keep the weights of their priors' matrices; <c>dalle eval --eight-bit</c> tells what 8 bit do to a model. Default: as they were trained.</summary>
    [EnumDataType(typeof(SamplingWeights), ErrorMessage = "GeneratorOptions.Weights: expected AsTrained or EightBit.")]
    public SamplingWeights Weights { get; set; } = SamplingWeights.AsTrained;

    /// <summary>Requests that may wait; further ones are refused. Default: 128.</summary>
    [Range(1, 100_000, ErrorMessage = "GeneratorOptions.MaxWaiting: expected 1 to 100000 requests.")]
    public int MaxWaiting { get; set; } = 128;

    /// <summary>
    /// Bytes that the weights of models in memory may take, by the sizes of their files; the ones unused for longest make room. A model that is larger has the memory to
    /// itself. Default: half of what the process may use.
    /// </summary>
    [Range(1L, 1L << 50, ErrorMessage = "GeneratorOptions.ModelBytes: expected 1 byte to 1 PiB.")]
    public long ModelBytes { get; set; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;

    /// <summary>Models kept in memory at most, whatever their size. Default: 8.</summary>
    [Range(1, 64, ErrorMessage = "GeneratorOptions.LoadedModels: expected 1 to 64 models.")]
    public int LoadedModels { get; set; } = 8;

    /// <summary>Time sampling holds the device before other work gets its turn; one token takes what it takes. Default: 20 milliseconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:00:10", ErrorMessage = "GeneratorOptions.TurnLength: expected 1 millisecond to 10 seconds.")]
    public TimeSpan TurnLength { get; set; } = TimeSpan.FromMilliseconds(20);
}

/// <summary>Checks <see cref="GeneratorOptions"/> when the host starts.</summary>
[OptionsValidator]
internal sealed partial class GeneratorOptionsValidator : IValidateOptions<GeneratorOptions>;
