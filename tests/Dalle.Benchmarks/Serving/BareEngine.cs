using Dalle.Data.Pictures;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using Dalle.Workers.Training;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Serving;

/// <summary>The sampler, the decoder and the encoder of picture files without anything around them, on two threads of this process.</summary>
internal sealed class BareEngine : IDisposable
{
    private readonly ParameterStore _priorParameters, _vaeParameters;
    private readonly Model.DiscreteVae.DiscreteVae _vae;
    private readonly Sampler _sampler;

    public BareEngine(Preset preset)
    {
        TorchRuntime.UseThreads(2);
        _priorParameters = new(TransformerParameters.Declare(preset.Transformer), preset.PriorTraining.Precision, CPU, trains: false);
        _vaeParameters = new(Model.DiscreteVae.DiscreteVae.Declare(preset.DiscreteVae), Precision.Float32, CPU, trains: false);
        _priorParameters.Initialize(seed: 1);
        _vaeParameters.Initialize(seed: 1);
        _vae = new(preset.DiscreteVae, _vaeParameters);
        _sampler = new(preset.Transformer, _priorParameters, threads: 2);
    }

    /// <summary>Samples a picture's tokens for a caption of its own and makes a file of them.</summary>
    public void Draw(int caption)
    {
        TorchRuntime.UseThreads(2);
        using var scope = NewDisposeScope();
        var tokens = _sampler.SampleAll([new([1, 2, 3, 4, 5, caption], (ulong)caption, 0, new())])[0];
        PngEncoder.Encode(Pixels.ToPictures(_vae.Decode(tensor(tokens.Select(token => (long)token).ToArray(), [1, 16, 16])))[0]);
    }

    public void Dispose()
    {
        _sampler.Dispose();
        _priorParameters.Dispose();
        _vaeParameters.Dispose();
    }
}
