using System.Numerics;
using System.Runtime.InteropServices;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

// Shape suffixes: B sequences or captions, T text positions, P slots (text, then image), K slots attended to, N heads, H head width, C model width, 1 one position.

/// <summary>Decodes with libtorch, on any device and for any width, in the store's precision; reads the store's tensors as they are.</summary>
internal sealed class TorchDecoder(TransformerConfig config, ParameterStore parameters) : IDecoder
{
    private readonly AttentionPlan _plan = new(config);
    private readonly Embeddings _embeddings = new(config, parameters);
    private readonly Unembedding _unembedding = new(parameters, "image.unembedding");
    private readonly LayerNorm _norm = new(parameters, "norm", ScalarType.Float32);
    private readonly TorchLayer[] _layers =
        [.. Enumerable.Range(0, config.Layers).Select(layer => new TorchLayer(parameters, TransformerParameters.Layer(layer), config.Attention(layer)))];

    public IDecoding Start(IReadOnlyList<int[]> captions, IReadOnlyList<int> captionOfSequence) => new TorchDecoding(this, captions, captionOfSequence);

    public void Dispose()
    {
        // Nothing of its own: the tensors are the store's.
    }

    private sealed class TorchLayer(ParameterStore parameters, string prefix, AttentionKind kind)
    {
        public AttentionKind Kind => kind;

        public LayerNorm AttentionNorm { get; } = new(parameters, prefix + "attention.norm", parameters.Precision.ToScalarType());

        public Linear Qkv { get; } = new(parameters, prefix + "attention.qkv");

        public Linear Output { get; } = new(parameters, prefix + "attention.output");

        public LayerNorm MlpNorm { get; } = new(parameters, prefix + "mlp.norm", parameters.Precision.ToScalarType());

        public Linear Up { get; } = new(parameters, prefix + "mlp.up");

        public Linear Down { get; } = new(parameters, prefix + "mlp.down");
    }

    private sealed class TorchDecoding : IDecoding
    {
        private readonly TorchDecoder _decoder;
        private readonly TransformerConfig _config;
        private readonly Device _device;
        private readonly float _scale;
        private readonly Tensor[] _keys_BNPH;
        private readonly Tensor[] _values_BNPH;
        private readonly long[] _tokens;
        private readonly float[] _logits;
        private int _position;

        public TorchDecoding(TorchDecoder decoder, IReadOnlyList<int[]> captions, IReadOnlyList<int> captionOfSequence)
        {
            (_decoder, _config) = (decoder, decoder.Config);
            _scale = (float)(1 / Math.Sqrt(_config.HeadWidth));
            _device = decoder.Device;
            _tokens = new long[captionOfSequence.Count];
            _logits = new float[(long)captionOfSequence.Count * _config.ImageVocabulary];
            _keys_BNPH = new Tensor[_config.Layers];
            _values_BNPH = new Tensor[_config.Layers];
            using var scope = NewDisposeScope();
            using var untracked = no_grad();
            Prefill(captions, tensor(captionOfSequence.Select(c => (long)c).ToArray(), device: _device));
        }

        public ReadOnlySpan<float> Logits(int sequence) => _logits.AsSpan(sequence * _config.ImageVocabulary, _config.ImageVocabulary);

        /// <remarks>Computes all sequences, those left out too: their results are not looked at.</remarks>
        public void Step(ReadOnlySpan<int> sequences, ReadOnlySpan<int> tokens)
        {
            for (var i = 0; i < sequences.Length; i++)
            {
                _tokens[sequences[i]] = tokens[i];
            }

            using var scope = NewDisposeScope();
            using var untracked = no_grad();
            var x_BC = _decoder._embeddings.Image(tensor(_tokens, [_tokens.Length, 1], device: _device), _position).view(-1, _config.Width);
            for (var index = 0; index < _config.Layers; index++)
            {
                using var step = NewDisposeScope();
                var layer = _decoder._layers[index];
                var slot = _config.TextLength + _decoder._plan.ImageSlot(layer.Kind, _position);
                var qkv = Split(layer.Qkv.Forward(layer.AttentionNorm.Forward(x_BC)), positions: 1);
                _keys_BNPH[index].narrow(2, slot, 1).copy_(qkv[1]);
                _values_BNPH[index].narrow(2, slot, 1).copy_(qkv[2]);
                var attended_K = tensor(Attended(layer.Kind), device: _device);
                var weights_BN1K = qkv[0].mul(Number(_scale)).matmul(_keys_BNPH[index].index_select(2, attended_K).transpose(-2, -1)).softmax(-1);
                var attended_BNH = weights_BN1K.matmul(_values_BNPH[index].index_select(2, attended_K));
                x_BC = AddBranches(layer, x_BC, attended_BNH).MoveToOuterDisposeScope();
            }

            Predict(x_BC);
            _position++;
        }

        public void Dispose()
        {
            foreach (var cache in _keys_BNPH.Concat(_values_BNPH))
            {
                cache.Dispose();
            }
        }

        private void Prefill(IReadOnlyList<int[]> captions, Tensor captionOfSequence_B)
        {
            var padded = captions.SelectMany(tokens => Enumerable.Range(0, _config.TextLength).Select(i => i < tokens.Length ? tokens[i] : -1L)).ToArray();
            var x_RC = _decoder._embeddings.Text(tensor(padded, [captions.Count, _config.TextLength], device: _device)).view(-1, _config.Width);
            var future_TT = ones(_config.TextLength, _config.TextLength, dtype: ScalarType.Bool, device: _device).triu(1);
            for (var index = 0; index < _config.Layers; index++)
            {
                using var step = NewDisposeScope();
                var layer = _decoder._layers[index];
                var qkv = Split(layer.Qkv.Forward(layer.AttentionNorm.Forward(x_RC)), _config.TextLength);
                (_keys_BNPH[index], _values_BNPH[index]) = (NewCache(qkv[1], layer, captionOfSequence_B), NewCache(qkv[2], layer, captionOfSequence_B));
                var scores_BNTT = qkv[0].mul(Number(_scale)).matmul(qkv[1].transpose(-2, -1)).masked_fill_(future_TT, Number(double.NegativeInfinity));
                x_RC = AddBranches(layer, x_RC, scores_BNTT.softmax(-1).matmul(qkv[2])).MoveToOuterDisposeScope();
            }

            var last_BC = x_RC.view(-1, _config.TextLength, _config.Width).select(1, _config.TextLength - 1);
            Predict(last_BC.index_select(0, captionOfSequence_B));
        }

        /// <summary>Room for text and image, the text's part filled for each sequence.</summary>
        private Tensor NewCache(Tensor text_BNTH, TorchLayer layer, Tensor captionOfSequence_B)
        {
            var slots = _config.TextLength + (_decoder._plan.ImageBlocks(layer.Kind) * AttentionPlan.BlockSize);
            var cache_BNPH = zeros([_tokens.Length, _config.Heads, slots, _config.HeadWidth], text_BNTH.dtype, _device);
            cache_BNPH.narrow(2, 0, _config.TextLength).copy_(text_BNTH.index_select(0, captionOfSequence_B));
            return cache_BNPH.DetachFromDisposeScope();
        }

        private Tensor AddBranches(TorchLayer layer, Tensor x_RC, Tensor attended_BNTH)
        {
            var attended_RC = attended_BNTH.transpose(1, 2).reshape(-1, _config.Width);
            var middle_RC = x_RC.add(layer.Output.Forward(attended_RC), One);
            return middle_RC.add(layer.Down.Forward(Activation.Forward(layer.Up.Forward(layer.MlpNorm.Forward(middle_RC)))), One);
        }

        private Tensor[] Split(Tensor qkv_R3C, int positions) =>
            [.. qkv_R3C.chunk(3, -1).Select(part => part.reshape(-1, positions, _config.Heads, _config.HeadWidth).transpose(1, 2))];

        private void Predict(Tensor x_BC)
        {
            var logits_BV = _decoder._unembedding.Logits(_decoder._norm.Forward(x_BC)).cpu().contiguous();
            MemoryMarshal.Cast<byte, float>(logits_BV.bytes).CopyTo(_logits);
        }

        private long[] Attended(AttentionKind kind)
        {
            var slots = Enumerable.Range(0, _config.TextLength).Select(i => (long)i).ToList();
            foreach (var block in _decoder._plan.Image(kind, _position))
            {
                for (uint bits = block.Slots; bits != 0; bits &= bits - 1)
                {
                    slots.Add(_config.TextLength + (block.Block * AttentionPlan.BlockSize) + BitOperations.TrailingZeroCount(bits));
                }
            }

            return [.. slots];
        }
    }

    private TransformerConfig Config => config;

    private Device Device => parameters.Master.device;
}
