using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

/// <summary>Samples image tokens from the prior, many pictures at once, token by token.</summary>
/// <remarks>On the CPU it keeps its own copy of the weights, as they were when it was made. Used on one thread at a time.</remarks>
public sealed class Sampler : IDisposable
{
    private readonly TransformerConfig _config;
    private readonly IDecoder _decoder;

    /// <param name="config">The prior's shape.</param>
    /// <param name="parameters">Its weights; the caller keeps and disposes the store, which outlives the sampler.</param>
    /// <param name="threads">Threads on the CPU; null for as many as libtorch uses on this thread. The result does not depend on it.</param>
    public Sampler(TransformerConfig config, ParameterStore parameters, int? threads = null)
        : this(config, parameters.Master.device_type == TorchSharp.DeviceType.CPU && PackedTransformer.Supports(config)
            ? new PackedDecoder(config, parameters, threads ?? get_num_threads())
            : new TorchDecoder(config, parameters))
    {
    }

    internal Sampler(TransformerConfig config, IDecoder decoder) => (_config, _decoder) = (config, decoder);

    /// <summary>Reads the captions, each different one once, and makes ready to sample.</summary>
    /// <param name="requests">At least one.</param>
    /// <exception cref="ArgumentException">A request's tokens or settings do not fit the prior; its number is named.</exception>
    public SamplingRun Start(IReadOnlyList<SequenceRequest> requests)
    {
        ArgumentOutOfRangeException.ThrowIfZero(requests.Count, nameof(requests));
        for (var sequence = 0; sequence < requests.Count; sequence++)
        {
            Check(requests[sequence], sequence);
        }

        return new(_config, _decoder, requests);
    }

    /// <inheritdoc/>
    public void Dispose() => _decoder.Dispose();

    private void Check(SequenceRequest request, int sequence)
    {
        request.Settings.Validate();
        CheckTokens(request.TextTokens, _config.TextLength, _config.TextVocabulary, "text");
        CheckTokens(request.GivenTokens, _config.ImageLength, _config.ImageVocabulary, "given image");

        void CheckTokens(IReadOnlyList<int> tokens, int most, int vocabulary, string kind)
        {
            if (tokens.Count > most || tokens.Any(token => token < 0 || token >= vocabulary))
            {
                throw new ArgumentException(
                    $"Expected at most {most} {kind} tokens from 0 to {vocabulary - 1}, got {tokens.Count} from {tokens.Min()} to {tokens.Max()} (request {sequence}).",
                    nameof(request));
            }
        }
    }
}
