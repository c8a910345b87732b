using System.Diagnostics;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.DiscreteVae;

/// <summary>Pictures to tokens and back with the discrete VAE of <see cref="PeerSize"/>, 32 at once, two threads.</summary>
internal sealed class DiscreteVaeCodec : IBenchmark
{
    private const int Batch = 32;
    private const int WarmUp = 4, Timed = 20;

    // DALLE-pytorch 1.6.6 on the machine of the notes, ms a picture.
    private const double DallePytorchEncode = 2.0, DallePytorchDecode = 3.3;

    public string Name => "dvae-codec";

    public string Summary => "encoding and decoding pictures of configuration T, ms a picture, beside DALLE-pytorch";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        foreach (var precision in new[] { Precision.Float32, Precision.BFloat16.On(TorchSharp.DeviceType.CPU) }.Distinct())
        {
            using var scope = NewDisposeScope();
            using var parameters = new ParameterStore(Model.DiscreteVae.DiscreteVae.Declare(PeerSize.Config), precision, CPU, trains: false);
            parameters.Initialize(seed: 1);
            var network = new Model.DiscreteVae.DiscreteVae(PeerSize.Config, parameters);
            var pixels_BCHW = rand(Batch, 3, PeerSize.Config.ImageSize, PeerSize.Config.ImageSize);
            var tokens_Bhw = network.Encode(pixels_BCHW);
            yield return new($"dvae-codec encode {precision}", Milliseconds(() => network.Encode(pixels_BCHW)), "ms", DallePytorchEncode, HigherIsBetter: false);
            yield return new($"dvae-codec decode {precision}", Milliseconds(() => network.Decode(tokens_Bhw)), "ms", DallePytorchDecode, HigherIsBetter: false);
        }
    }

    /// <summary>Of one picture in the fastest batch.</summary>
    private static double Milliseconds(Func<Tensor> run) => Enumerable.Range(0, WarmUp + Timed).Select(_ =>
    {
        var start = Stopwatch.GetTimestamp();
        run().Dispose();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / Batch;
    }).Skip(WarmUp).Min();
}
