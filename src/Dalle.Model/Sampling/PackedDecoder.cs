using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

/// <summary>Makes <see cref="PackedDecoder{TElement}"/>.</summary>
internal static class PackedDecoder
{
    /// <summary>Whether widths fill whole vectors.</summary>
    public static bool Supports(TransformerConfig config) => config.HeadWidth % Element.Lanes == 0 && config.Width == config.HeadWidth * config.Heads;

    /// <summary>A decoder that keeps keys and values in 16 bit beside bfloat16 weights, else in 32.</summary>
    /// <inheritdoc cref="PackedDecoder{TElement}(TransformerConfig, ParameterStore, SamplerCapacity, int, SamplingWeights)" path="/param"/>
    public static IDecoder Create(TransformerConfig config, ParameterStore parameters, SamplerCapacity capacity, int threads, SamplingWeights weights = SamplingWeights.AsTrained) =>
        parameters.Precision == Precision.BFloat16
            ? new PackedDecoder<BFloat16>(config, parameters, capacity, threads, weights)
            : new PackedDecoder<Float32>(config, parameters, capacity, threads, weights);
}

/// <summary>
/// The prior's forward pass for decoding on a CPU: a few rows at a time against packed weights, all of it in vectors of 16. Where libtorch dispatches
/// a hundred small operations for a token, this is one call. Weights have the store's precision, and so have keys and values; activations are 32 bit.
/// </summary>
/// <typeparam name="TElement">How keys and values are kept.</typeparam>
/// <remarks>
/// Keeps a copy of the weights. A row's result depends on nothing but its own sequence: not on the other rows, not on the number of threads.
/// Not thread-safe.
/// </remarks>
internal sealed unsafe class PackedDecoder<TElement> : IDecoder
    where TElement : unmanaged, IMoment<TElement>
{
    private const int Lanes = 16;

    // Below this, handing rows to threads costs more than normalising them.
    private const int RowsWorthForking = 5;

    private readonly TransformerConfig _config;
    private readonly AttentionPlan _plan;
    private readonly KeyValueCache<TElement>?[] _texts;
    private readonly KeyValueCache<TElement>?[] _images;
    private readonly ForkJoin _parts;
    private readonly PackedLayer[] _layers;
    private readonly Dictionary<string, FloatBuffer> _vectors = [];
    private readonly PackedMatrix _unembedding;
    private readonly FloatBuffer _scores;
    private readonly int _scoresPerPart;
    private readonly float _scale;
    private readonly Action<int> _normalizeInput, _normalizeHidden, _queries, _attend, _project, _expand, _contract, _write, _normalizeLast, _predict;

    // The rows of the current pass and their activations, row by row.
    private DecodeRow[] _rows = [];
    private int _count, _textRows;
    private int _layer;
    private FloatBuffer _x = new(0), _normal = new(0), _qkv = new(0), _attended = new(0), _hidden = new(0), _branch = new(0), _logits = new(0);

    // Where the logits of each row are, among those that were asked for.
    private int[] _logitsOf = [];

    /// <param name="config">A shape that <see cref="PackedDecoder.Supports"/> accepts.</param>
    /// <param name="parameters">The weights; copied.</param>
    /// <param name="capacity">Sequences that have a place; a place takes no memory before it is first used.</param>
    /// <param name="threads">Threads in all.</param>
    /// <param name="weights">How the weights of matrices are kept.</param>
    public PackedDecoder(TransformerConfig config, ParameterStore parameters, SamplerCapacity capacity, int threads, SamplingWeights weights)
    {
        _config = config;
        _scale = (float)(1 / Math.Sqrt(config.HeadWidth));
        _plan = new(config);
        (_texts, _images) = (new KeyValueCache<TElement>?[capacity.Prompts], new KeyValueCache<TElement>?[capacity.Slots]);
        using var scope = NewDisposeScope();
        _layers = [.. Enumerable.Range(0, config.Layers).Select(layer => new PackedLayer(parameters, TransformerParameters.Layer(layer), config.Attention(layer), weights))];
        foreach (var name in (string[])["text.token", "text.position", "text.pad", "image.token", "image.row", "image.column", "norm.gain", "norm.bias"])
        {
            _vectors.Add(name, PackedLayer.Vector(parameters, name));
        }

        _unembedding = new(parameters["image.unembedding"], bias: null, weights);
        _parts = new(threads);
        _scoresPerPart = Lanes * (_plan.TextBlocks + Enum.GetValues<AttentionKind>().Max(_plan.ImageBlocks));
        _scores = new((long)_scoresPerPart * _parts.Parts);

        // Made once: a step allocates nothing.
        _normalizeInput = part => Normalize(part, _layers[_layer].AttentionGain, _layers[_layer].AttentionBias);
        _normalizeHidden = part => Normalize(part, _layers[_layer].MlpGain, _layers[_layer].MlpBias);
        _queries = part => Multiply(part, _layers[_layer].Qkv, _normal, _config.Width, _qkv);
        _attend = Attend;
        _project = part => AddProduct(part, _layers[_layer].Output, _attended, _config.Width);
        _expand = Expand;
        _contract = part => AddProduct(part, _layers[_layer].Down, _hidden, _layers[_layer].Up.PaddedOutputs);
        _write = WriteText;
        _normalizeLast = part => Normalize(part, _vectors["norm.gain"], _vectors["norm.bias"]);
        _predict = part => Multiply(part, _unembedding, _normal, _config.Width, _logits);
    }

    /// <inheritdoc/>
    public int TextRowsPerStep => 16;

    /// <inheritdoc/>
    public void Step(ReadOnlySpan<DecodeRow> rows)
    {
        Reserve(rows.Length);
        rows.CopyTo(_rows);
        _textRows = 0;
        for (var row = 0; row < rows.Length; row++)
        {
            var (position, token) = (rows[row].Position, rows[row].Token);
            var x = _x.Pointer + ((long)row * _config.Width);
            if (rows[row].Slot < 0)
            {
                _textRows++;
                _texts[rows[row].Prompt] ??= new([.. _layers.Select(_ => _plan.TextBlocks)], _config.Width, _config.HeadWidth);
                Copy(token < 0 ? Row("text.pad", position) : Row("text.token", token), x);
                VectorMath.Add(x, Row("text.position", position), _config.Width);
            }
            else
            {
                _images[rows[row].Slot] ??= new([.. _layers.Select(layer => _plan.ImageBlocks(layer.Kind))], _config.Width, _config.HeadWidth);
                Copy(Row("image.token", token), x);
                VectorMath.Add(x, Row("image.row", position / _config.GridSize), _config.Width);
                VectorMath.Add(x, Row("image.column", position % _config.GridSize), _config.Width);
            }
        }

        RunLayers();
        Predict();
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Logits(int row) => _logits.Slice((long)_logitsOf[row] * _unembedding.PaddedOutputs, _config.ImageVocabulary);

    public void Dispose()
    {
        _parts.Dispose();
        foreach (var buffer in _vectors.Values.Concat([_scores, _x, _normal, _qkv, _attended, _hidden, _branch, _logits]))
        {
            buffer.Dispose();
        }

        foreach (var layer in _layers)
        {
            layer.Dispose();
        }

        foreach (var cache in _texts.Concat(_images))
        {
            cache?.Dispose();
        }

        _unembedding.Dispose();
    }

    private void RunLayers()
    {
        for (_layer = 0; _layer < _layers.Length; _layer++)
        {
            RunOverRows(_normalizeInput);
            _parts.Run(_queries);
            if (_textRows > 0)
            {
                // Text positions attend to each other, so all of them are written first.
                _parts.Run(_write);
            }

            _parts.Run(_attend);
            _parts.Run(_project);
            RunOverRows(_normalizeHidden);
            _parts.Run(_expand);
            _parts.Run(_contract);
        }
    }

    private void RunOverRows(Action<int> work)
    {
        if (_count >= RowsWorthForking)
        {
            _parts.Run(work);
            return;
        }

        for (var part = 0; part < _parts.Parts; part++)
        {
            work(part);
        }
    }

    private void Normalize(int part, FloatBuffer gain, FloatBuffer bias)
    {
        var (start, end) = _parts.Share(_count, part);
        for (long row = start; row < end; row++)
        {
            VectorMath.Normalize(_x.Pointer + (row * _config.Width), gain.Pointer, bias.Pointer, _normal.Pointer + (row * _config.Width), _config.Width);
        }
    }

    private void Multiply(int part, PackedMatrix matrix, FloatBuffer x, int xStride, FloatBuffer y)
    {
        var (start, end) = _parts.Share(matrix.Tiles, part);
        matrix.Multiply(x.Pointer, xStride, _count, y.Pointer, matrix.PaddedOutputs, start, end);
    }

    /// <summary>The end of a residual branch: its product, added to the identity path.</summary>
    private void AddProduct(int part, PackedMatrix matrix, FloatBuffer x, int xStride)
    {
        Multiply(part, matrix, x, xStride, _branch);
        var (start, length) = Outputs(part, matrix);
        for (long row = 0; row < _count; row++)
        {
            VectorMath.Add(_x.Pointer + (row * _config.Width) + start, _branch.Pointer + (row * matrix.PaddedOutputs) + start, length);
        }
    }

    private void Expand(int part)
    {
        var up = _layers[_layer].Up;
        Multiply(part, up, _normal, _config.Width, _hidden);
        var (start, length) = Outputs(part, up);
        for (long row = 0; row < _count; row++)
        {
            VectorMath.Activate(_hidden.Pointer + (row * up.PaddedOutputs) + start, length);
        }
    }

    private (int Start, int Length) Outputs(int part, PackedMatrix matrix)
    {
        var (start, end) = _parts.Share(matrix.Tiles, part);
        return (start * PackedMatrix.TileWidth, Math.Min(end * PackedMatrix.TileWidth, matrix.Outputs) - (start * PackedMatrix.TileWidth));
    }

    private void WriteText(int part)
    {
        var (start, end) = _parts.Share(_textRows * _config.Heads, part);
        for (var task = start; task < end; task++)
        {
            var (row, head) = Math.DivRem(task, _config.Heads);
            var query = Query(row, head);
            _texts[_rows[row].Prompt]!.Write(_layer, head, _rows[row].Position, query + _config.Width, query + (2 * _config.Width));
        }
    }

    private void Attend(int part)
    {
        var kind = _layers[_layer].Kind;
        var headWidth = _config.HeadWidth;
        var scores = _scores.Pointer + ((long)part * _scoresPerPart);
        var (start, end) = _parts.Share(_count * _config.Heads, part);
        for (var task = start; task < end; task++)
        {
            var (index, head) = Math.DivRem(task, _config.Heads);
            var row = _rows[index];
            var query = Query(index, head);
            var output = _attended.Pointer + ((long)index * _config.Width) + (head * headWidth);
            var (textCache, imageCache) = (_texts[row.Prompt]!, row.Slot < 0 ? null : _images[row.Slot]);
            imageCache?.Write(_layer, head, _plan.ImageSlot(kind, row.Position), query + _config.Width, query + (2 * _config.Width));

            // From here the query is this task's own.
            for (var i = 0; i < headWidth; i++)
            {
                query[i] *= _scale;
            }

            var text = new HeadEntries<TElement>(textCache.Keys(_layer, head), textCache.Values(_layer, head), _plan.Text(imageCache is null ? row.Position : _config.TextLength - 1));
            var image = imageCache is null ? default : new HeadEntries<TElement>(imageCache.Keys(_layer, head), imageCache.Values(_layer, head), _plan.Image(kind, row.Position));
            VectorMath.Attend(query, text, image, headWidth, scores, output);
        }
    }

    /// <summary>Normalises the rows that predict an image token and takes its logits from them.</summary>
    private void Predict()
    {
        var count = 0;
        for (var row = 0; row < _count; row++)
        {
            _logitsOf[row] = -1;
            if (_rows[row].Predicts)
            {
                Copy(_x.Pointer + ((long)row * _config.Width), _x.Pointer + ((long)count * _config.Width));
                _logitsOf[row] = count++;
            }
        }

        _count = count;
        if (count > 0)
        {
            RunOverRows(_normalizeLast);
            _parts.Run(_predict);
        }
    }

    private float* Query(int row, int head) => _qkv.Pointer + ((long)row * _layers[_layer].Qkv.PaddedOutputs) + (head * _config.HeadWidth);

    private float* Row(string table, int index) => _vectors[table].Pointer + ((long)index * _config.Width);

    private void Copy(float* from, float* to) => Buffer.MemoryCopy(from, to, _config.Width * sizeof(float), _config.Width * sizeof(float));

    /// <summary>Makes room for a number of rows; they are the current pass's.</summary>
    private void Reserve(int rows)
    {
        _count = rows;
        if (rows <= _rows.Length)
        {
            return;
        }

        (_rows, _logitsOf) = (new DecodeRow[rows], new int[rows]);
        var layer = _layers[0];
        Grow(ref _x, _config.Width);
        Grow(ref _normal, _config.Width);
        Grow(ref _qkv, layer.Qkv.PaddedOutputs);
        Grow(ref _attended, _config.Width);
        Grow(ref _hidden, layer.Up.PaddedOutputs);
        Grow(ref _branch, layer.Output.PaddedOutputs);
        Grow(ref _logits, _unembedding.PaddedOutputs);

        void Grow(ref FloatBuffer buffer, int width)
        {
            buffer.Dispose();
            buffer = new((long)rows * width);
        }
    }
}
