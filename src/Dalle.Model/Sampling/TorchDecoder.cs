using System.Runtime.InteropServices;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

// Shape suffixes: B rows of a step, T text positions, E entries of the cache, K entries attended to, N heads, H head width, C model width.

/// <summary>Decodes with libtorch, on any device and for any width, in the store's precision; reads the store's tensors as they are.</summary>
/// <remarks>
/// A step has as many rows as the next bucket, so that a device sees few shapes; rows that fill it up use a slot of their own. Room for all keys and values
/// is taken at once.
/// </remarks>
internal sealed class TorchDecoder : IDecoder
{
    private readonly TransformerConfig _config;
    private readonly CacheEntries _entries;
    private readonly Embeddings _embeddings;
    private readonly Unembedding _unembedding;
    private readonly LayerNorm _norm;
    private readonly TorchLayer[] _layers;
    private readonly Tensor _future_TT;
    private readonly float _scale;
    private readonly int[] _buckets;
    private readonly int[] _logitsOf;
    private readonly float[] _logits;
    private readonly Device _device;

    /// <param name="config">The prior's shape.</param>
    /// <param name="parameters">Its weights; the store outlives the decoder.</param>
    /// <param name="capacity">Sequences that have a place.</param>
    public TorchDecoder(TransformerConfig config, ParameterStore parameters, SamplerCapacity capacity)
    {
        (_config, _device) = (config, parameters.Master.device);
        _scale = (float)(1 / Math.Sqrt(config.HeadWidth));
        (_embeddings, _unembedding) = (new(config, parameters), new(parameters, "image.unembedding"));
        _norm = new(parameters, "norm", ScalarType.Float32);
        _buckets = [.. Enumerable.Range(0, 31).Select(power => 1 << power).TakeWhile(bucket => bucket < capacity.Slots), capacity.Slots];
        _logitsOf = new int[capacity.Slots + config.TextLength];
        _logits = new float[(long)(capacity.Slots + 1) * config.ImageVocabulary];
        using var scope = NewDisposeScope();
        _future_TT = ones(config.TextLength, config.TextLength, dtype: ScalarType.Bool, device: _device).triu(1).DetachFromDisposeScope();
        _entries = new(config, capacity, _device);
        _layers = [.. Enumerable.Range(0, config.Layers).Select(layer => new TorchLayer(config, parameters, layer, _entries.Count(config.Attention(layer))))];
    }

    /// <inheritdoc/>
    public int TextRowsPerStep => _config.TextLength;

    /// <inheritdoc/>
    public void Step(ReadOnlySpan<DecodeRow> rows)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var texts = rows.Length > 0 && rows[0].Slot < 0 ? _config.TextLength : 0;
        if (texts > 0)
        {
            Read(rows[..texts]);
        }

        if (rows.Length > texts)
        {
            Decode(rows[texts..], firstRow: texts);
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Logits(int row) => _logits.AsSpan(_logitsOf[row] * _config.ImageVocabulary, _config.ImageVocabulary);

    public void Dispose()
    {
        _future_TT.Dispose();
        _entries.Dispose();
        foreach (var layer in _layers)
        {
            layer.Dispose();
        }
    }

    /// <summary>Runs a whole caption.</summary>
    private void Read(ReadOnlySpan<DecodeRow> rows)
    {
        var text_1T = tensor(Longs(rows, rows.Length, row => row.Token), [1, rows.Length], device: _device);
        var entry_T = _entries.Text(rows[0].Prompt);
        var x_TC = _embeddings.Text(text_1T).view(-1, _config.Width);
        foreach (var layer in _layers)
        {
            using var step = NewDisposeScope();
            var (query_TNH, key_TNH, value_TNH) = Split(layer, x_TC);
            layer.Keep(entry_T, key_TNH, value_TNH);
            var scores_NTT = query_TNH.transpose(0, 1).matmul(key_TNH.permute(1, 2, 0)).masked_fill_(_future_TT, Number(double.NegativeInfinity));
            x_TC = AddBranches(layer, x_TC, scores_NTT.softmax(-1).matmul(value_TNH.transpose(0, 1)).transpose(0, 1)).MoveToOuterDisposeScope();
        }

        // Only the last position predicts; its logits stand behind those of the images.
        _logitsOf[rows.Length - 1] = _buckets[^1];
        TakeLogits(x_TC.narrow(0, rows.Length - 1, 1), _buckets[^1], count: 1);
    }

    /// <summary>Runs an image token of each row.</summary>
    private void Decode(ReadOnlySpan<DecodeRow> rows, int firstRow)
    {
        var count = rows.Length;
        var size = _buckets.First(bucket => bucket >= count);
        var token_B = tensor(Longs(rows, size, row => row.Token), device: _device);
        var position_B = tensor(Longs(rows, size, row => row.Position), device: _device);
        var prompt_B = tensor(Longs(rows, size, row => row.Prompt), device: _device);
        var slot_B = tensor(Longs(rows, size, row => row.Slot, filling: _buckets[^1]), device: _device);
        var entries = Enum.GetValues<AttentionKind>().Where(_entries.Has).ToDictionary(kind => kind, kind => _entries.Image(kind, prompt_B, slot_B, position_B));
        var x_BC = _embeddings.Image(token_B, position_B);
        foreach (var layer in _layers)
        {
            using var step = NewDisposeScope();
            var (query_BNH, key_BNH, value_BNH) = Split(layer, x_BC);
            var (own_B, attended_BK, mask_BK) = entries[layer.Kind];
            layer.Keep(own_B, key_BNH, value_BNH);
            var (keys_BKNH, values_BKNH) = layer.Kept(attended_BK);
            var scores_BN1K = query_BNH.unsqueeze(2).matmul(keys_BKNH.permute(0, 2, 3, 1)).masked_fill_(mask_BK.view(size, 1, 1, -1), Number(double.NegativeInfinity));
            x_BC = AddBranches(layer, x_BC, scores_BN1K.softmax(-1).matmul(values_BKNH.transpose(1, 2)).squeeze(2)).MoveToOuterDisposeScope();
        }

        for (var row = 0; row < rows.Length; row++)
        {
            _logitsOf[firstRow + row] = row;
        }

        TakeLogits(x_BC, first: 0, rows.Length);
    }

    private Tensor AddBranches(TorchLayer layer, Tensor x_BC, Tensor attended_BNH)
    {
        var middle_BC = x_BC.add(layer.Output.Forward(attended_BNH.reshape(-1, _config.Width)), One);
        return middle_BC.add(layer.Down.Forward(Activation.Forward(layer.Up.Forward(layer.MlpNorm.Forward(middle_BC)))), One);
    }

    /// <summary>Queries, scaled, with keys and values.</summary>
    private (Tensor Query_BNH, Tensor Key_BNH, Tensor Value_BNH) Split(TorchLayer layer, Tensor x_BC)
    {
        var parts = layer.Qkv.Forward(layer.AttentionNorm.Forward(x_BC)).chunk(3, -1).Select(part => part.reshape(-1, _config.Heads, _config.HeadWidth)).ToArray();
        return (parts[0].mul(Number(_scale)), parts[1], parts[2]);
    }

    private void TakeLogits(Tensor x_BC, int first, int count)
    {
        var logits_BV = _unembedding.Logits(_norm.Forward(x_BC)).cpu().contiguous();
        MemoryMarshal.Cast<byte, float>(logits_BV.bytes)[..(count * _config.ImageVocabulary)].CopyTo(_logits.AsSpan(first * _config.ImageVocabulary));
    }

    /// <summary>A number of each row, then a filling up to a size.</summary>
    private static long[] Longs(ReadOnlySpan<DecodeRow> rows, int size, Func<DecodeRow, long> number, long filling = 0)
    {
        var numbers = new long[size];
        for (var i = 0; i < size; i++)
        {
            numbers[i] = i < rows.Length ? number(rows[i]) : filling;
        }

        return numbers;
    }

    /// <summary>The network of a layer, and the keys and values of all captions and images in it.</summary>
    private sealed class TorchLayer : IDisposable
    {
        private readonly Tensor _keys_ENH;
        private readonly Tensor _values_ENH;

        public TorchLayer(TransformerConfig config, ParameterStore parameters, int layer, long entries)
        {
            var prefix = TransformerParameters.Layer(layer);
            Kind = config.Attention(layer);
            AttentionNorm = new(parameters, prefix + "attention.norm", parameters.Precision.ToScalarType());
            Qkv = new(parameters, prefix + "attention.qkv");
            Output = new(parameters, prefix + "attention.output");
            MlpNorm = new(parameters, prefix + "mlp.norm", parameters.Precision.ToScalarType());
            Up = new(parameters, prefix + "mlp.up");
            Down = new(parameters, prefix + "mlp.down");
            _keys_ENH = NewEntries();
            _values_ENH = NewEntries();

            Tensor NewEntries() =>
                zeros([entries, config.Heads, config.HeadWidth], parameters.Precision.ToScalarType(), parameters.Master.device).DetachFromDisposeScope();
        }

        public AttentionKind Kind { get; }

        public LayerNorm AttentionNorm { get; }

        public Linear Qkv { get; }

        public Linear Output { get; }

        public LayerNorm MlpNorm { get; }

        public Linear Up { get; }

        public Linear Down { get; }

        public void Keep(Tensor entry_B, Tensor key_BNH, Tensor value_BNH)
        {
            _keys_ENH.index_copy_(0, entry_B, key_BNH);
            _values_ENH.index_copy_(0, entry_B, value_BNH);
        }

        public (Tensor Keys_BKNH, Tensor Values_BKNH) Kept(Tensor entry_BK)
        {
            var entries = entry_BK.flatten();
            long[] shape = [.. entry_BK.shape, _keys_ENH.shape[1], _keys_ENH.shape[2]];
            return (_keys_ENH.index_select(0, entries).view(shape), _values_ENH.index_select(0, entries).view(shape));
        }

        public void Dispose()
        {
            _keys_ENH.Dispose();
            _values_ENH.Dispose();
        }
    }

    /// <summary>Which entries of the cache are whose: those of the captions first, then those of the images, as many for each as its layer's mask needs.</summary>
    private sealed class CacheEntries : IDisposable
    {
        private readonly TransformerConfig _config;
        private readonly SamplerCapacity _capacity;
        private readonly AttentionPlan _plan;
        private readonly Tensor _text_T;

        // For each image position: its own slot; the slots it attends to, filled up with 0; which of them are filling.
        private readonly Dictionary<AttentionKind, (Tensor Own_n, Tensor Attended_nK, Tensor Filling_nK)> _image = [];

        public CacheEntries(TransformerConfig config, SamplerCapacity capacity, Device device)
        {
            (_config, _capacity, _plan) = (config, capacity, new(config));
            _text_T = arange(Number(0), Number(config.TextLength), One, ScalarType.Int64, device).DetachFromDisposeScope();
            foreach (var kind in Enumerable.Range(0, config.Layers).Select(config.Attention).Distinct())
            {
                long[][] attended = [.. Enumerable.Range(0, config.ImageLength).Select(position => _plan.ImageSlots(kind, position).Select(slot => (long)slot).ToArray())];
                var most = attended.Max(slots => slots.Length);
                long[] shape = [attended.Length, most];
                _image.Add(kind, (
                    tensor(Enumerable.Range(0, attended.Length).Select(position => (long)_plan.ImageSlot(kind, position)).ToArray(), device: device).DetachFromDisposeScope(),
                    tensor(attended.SelectMany(slots => slots.Concat(Enumerable.Repeat(0L, most - slots.Length))).ToArray(), shape, device: device).DetachFromDisposeScope(),
                    tensor(attended.SelectMany(slots => Enumerable.Range(0, most).Select(k => k >= slots.Length)).ToArray(), shape, device: device).DetachFromDisposeScope()));
            }
        }

        public bool Has(AttentionKind kind) => _image.ContainsKey(kind);

        /// <summary>All entries of a layer of a kind; one slot more than was asked for is for rows that mean nothing.</summary>
        public long Count(AttentionKind kind) => FirstImage + ((_capacity.Slots + 1) * Slots(kind));

        public Tensor Text(int prompt) => _text_T.add(Number(prompt * (long)_config.TextLength), One);

        /// <summary>For rows of image tokens: where each goes, what it attends to, and what of that is masked.</summary>
        public (Tensor Own_B, Tensor Attended_BK, Tensor Mask_BK) Image(AttentionKind kind, Tensor prompt_B, Tensor slot_B, Tensor position_B)
        {
            var (own_n, attended_nK, filling_nK) = _image[kind];
            var first_B = slot_B.mul(Number(Slots(kind))).add(Number(FirstImage), One);
            var text_BT = prompt_B.mul(Number(_config.TextLength)).unsqueeze(1).add(_text_T, One);
            var image_BK = attended_nK.index_select(0, position_B).add(first_B.unsqueeze(1), One);
            var filling_BK = filling_nK.index_select(0, position_B);
            return (
                own_n.index_select(0, position_B).add(first_B, One),
                cat([text_BT, image_BK], 1),
                cat([zeros_like(text_BT, ScalarType.Bool), filling_BK], 1));
        }

        public void Dispose()
        {
            _text_T.Dispose();
            foreach (var (own_n, attended_nK, filling_nK) in _image.Values)
            {
                own_n.Dispose();
                attended_nK.Dispose();
                filling_nK.Dispose();
            }
        }

        private long FirstImage => _capacity.Prompts * (long)_config.TextLength;

        private long Slots(AttentionKind kind) => _plan.ImageBlocks(kind) * AttentionPlan.BlockSize;
    }
}
