using System.Runtime.Intrinsics;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

/// <summary>One position of one sequence on its way through the network.</summary>
/// <param name="Text">The caption's keys and values.</param>
/// <param name="Image">The image's keys and values; null for a text position.</param>
/// <param name="Position">Position within the caption or the image.</param>
/// <param name="Token">The token there; -1 for padding.</param>
internal readonly record struct DecodeRow(KeyValueCache Text, KeyValueCache? Image, int Position, int Token);

/// <summary>
/// The prior's forward pass for decoding on a CPU: a few rows at a time against packed weights, all of it in vectors of 16. Where libtorch dispatches
/// a hundred small operations for a token, this is one call. Weights have the store's precision, activations are 32 bit.
/// </summary>
/// <remarks>
/// Keeps a copy of the weights. A row's result depends on nothing but its own sequence: not on the other rows, not on the number of threads.
/// Not thread-safe.
/// </remarks>
internal sealed unsafe class PackedTransformer : IDisposable
{
    private const int Lanes = 16;

    // Below this, handing rows to threads costs more than normalising them.
    private const int RowsWorthForking = 5;

    private readonly TransformerConfig _config;
    private readonly ForkJoin _threads;
    private readonly PackedLayer[] _layers;
    private readonly Dictionary<string, FloatBuffer> _vectors = [];
    private readonly PackedMatrix _unembedding;
    private readonly FloatBuffer _scores;
    private readonly int _scoresPerThread;
    private readonly float _scale;
    private readonly Action<int> _normalizeInput, _normalizeHidden, _queries, _attend, _project, _expand, _contract, _write, _predict;

    // The rows of the current pass and their activations, row by row.
    private DecodeRow[] _rows = [];
    private int _count;
    private int _layer;
    private FloatBuffer _x = new(0), _normal = new(0), _qkv = new(0), _attended = new(0), _hidden = new(0), _branch = new(0);

    /// <param name="config">A shape that <see cref="Supports"/> accepts.</param>
    /// <param name="parameters">The weights; copied.</param>
    /// <param name="threads">Threads in all.</param>
    public PackedTransformer(TransformerConfig config, ParameterStore parameters, int threads)
    {
        _config = config;
        _scale = (float)(1 / Math.Sqrt(config.HeadWidth));
        Plan = new(config);
        using var scope = NewDisposeScope();
        _layers = [.. Enumerable.Range(0, config.Layers).Select(layer => new PackedLayer(parameters, TransformerParameters.Layer(layer), config.Attention(layer)))];
        foreach (var name in (string[])["text.token", "text.position", "text.pad", "image.token", "image.row", "image.column", "norm.gain", "norm.bias"])
        {
            _vectors.Add(name, PackedLayer.Vector(parameters, name));
        }

        _unembedding = new(parameters["image.unembedding"], bias: null);
        _threads = new(threads);
        _scoresPerThread = Lanes * (Plan.TextBlocks + Enum.GetValues<AttentionKind>().Max(Plan.ImageBlocks));
        _scores = new((long)_scoresPerThread * threads);

        // Made once: a step allocates nothing.
        _normalizeInput = thread => Normalize(thread, _layers[_layer].AttentionGain, _layers[_layer].AttentionBias);
        _normalizeHidden = thread => Normalize(thread, _layers[_layer].MlpGain, _layers[_layer].MlpBias);
        _queries = thread => Multiply(thread, _layers[_layer].Qkv, _normal, _config.Width, _qkv);
        _attend = Attend;
        _project = thread => AddProduct(thread, _layers[_layer].Output, _attended, _config.Width);
        _expand = Expand;
        _contract = thread => AddProduct(thread, _layers[_layer].Down, _hidden, _layers[_layer].Up.PaddedOutputs);
        _write = WriteText;
        _predict = thread => Multiply(thread, _unembedding, _normal, _config.Width, Logits);
    }

    /// <summary>Where keys and values go.</summary>
    public AttentionPlan Plan { get; }

    /// <summary>Logits of the rows that were asked for, <see cref="LogitStride"/> apart.</summary>
    public FloatBuffer Logits { get; private set; } = new(0);

    /// <summary>Floats from one row's logits to the next one's.</summary>
    public int LogitStride => _unembedding.PaddedOutputs;

    /// <summary>Whether widths fill whole vectors.</summary>
    public static bool Supports(TransformerConfig config) => config.HeadWidth % Lanes == 0 && config.Width == config.HeadWidth * config.Heads;

    public KeyValueCache NewTextCache() => new([.. _layers.Select(_ => Plan.TextBlocks)], _config.Width, _config.HeadWidth);

    public KeyValueCache NewImageCache() => new([.. _layers.Select(layer => Plan.ImageBlocks(layer.Kind))], _config.Width, _config.HeadWidth);

    /// <summary>Runs a whole caption into its cache; row 0 of <see cref="Logits"/> is then the first image token's.</summary>
    public void Prefill(ReadOnlySpan<int> tokens, KeyValueCache text)
    {
        Reserve(_config.TextLength);
        for (var position = 0; position < _count; position++)
        {
            var token = position < tokens.Length ? tokens[position] : -1;
            _rows[position] = new(text, null, position, token);
            var x = _x.Pointer + ((long)position * _config.Width);
            Copy(token < 0 ? Row("text.pad", position) : Row("text.token", token), x);
            VectorMath.Add(x, Row("text.position", position), _config.Width);
        }

        RunLayers();
        Predict(firstRow: _count - 1);
    }

    /// <summary>Runs one image token per row; the rows of <see cref="Logits"/> are then the next tokens'.</summary>
    public void Step(ReadOnlySpan<DecodeRow> rows)
    {
        Reserve(rows.Length);
        rows.CopyTo(_rows);
        for (var row = 0; row < rows.Length; row++)
        {
            var x = _x.Pointer + ((long)row * _config.Width);
            Copy(Row("image.token", rows[row].Token), x);
            VectorMath.Add(x, Row("image.row", rows[row].Position / _config.GridSize), _config.Width);
            VectorMath.Add(x, Row("image.column", rows[row].Position % _config.GridSize), _config.Width);
        }

        RunLayers();
        Predict(firstRow: 0);
    }

    public void Dispose()
    {
        _threads.Dispose();
        foreach (var buffer in _vectors.Values.Concat([_scores, _x, _normal, _qkv, _attended, _hidden, _branch, Logits]))
        {
            buffer.Dispose();
        }

        foreach (var layer in _layers)
        {
            layer.Dispose();
        }

        _unembedding.Dispose();
    }

    private void RunLayers()
    {
        for (_layer = 0; _layer < _layers.Length; _layer++)
        {
            RunOverRows(_normalizeInput);
            _threads.Run(_queries);
            if (_rows[0].Image is null)
            {
                // Text positions attend to each other, so all of them are written first.
                _threads.Run(_write);
            }

            _threads.Run(_attend);
            _threads.Run(_project);
            RunOverRows(_normalizeHidden);
            _threads.Run(_expand);
            _threads.Run(_contract);
        }
    }

    private void RunOverRows(Action<int> work)
    {
        if (_count >= RowsWorthForking)
        {
            _threads.Run(work);
            return;
        }

        for (var thread = 0; thread < _threads.Threads; thread++)
        {
            work(thread);
        }
    }

    private void Normalize(int thread, FloatBuffer gain, FloatBuffer bias)
    {
        var (start, end) = _threads.Share(_count, thread);
        for (long row = start; row < end; row++)
        {
            VectorMath.Normalize(_x.Pointer + (row * _config.Width), gain.Pointer, bias.Pointer, _normal.Pointer + (row * _config.Width), _config.Width);
        }
    }

    private void Multiply(int thread, PackedMatrix matrix, FloatBuffer x, int xStride, FloatBuffer y)
    {
        var (start, end) = _threads.Share(matrix.Tiles, thread);
        matrix.Multiply(x.Pointer, xStride, _count, y.Pointer, matrix.PaddedOutputs, start, end);
    }

    /// <summary>The end of a residual branch: its product, added to the identity path.</summary>
    private void AddProduct(int thread, PackedMatrix matrix, FloatBuffer x, int xStride)
    {
        Multiply(thread, matrix, x, xStride, _branch);
        var (start, length) = Outputs(thread, matrix);
        for (long row = 0; row < _count; row++)
        {
            VectorMath.Add(_x.Pointer + (row * _config.Width) + start, _branch.Pointer + (row * matrix.PaddedOutputs) + start, length);
        }
    }

    private void Expand(int thread)
    {
        var up = _layers[_layer].Up;
        Multiply(thread, up, _normal, _config.Width, _hidden);
        var (start, length) = Outputs(thread, up);
        for (long row = 0; row < _count; row++)
        {
            VectorMath.Activate(_hidden.Pointer + (row * up.PaddedOutputs) + start, length);
        }
    }

    private (int Start, int Length) Outputs(int thread, PackedMatrix matrix)
    {
        var (start, end) = _threads.Share(matrix.Tiles, thread);
        return (start * PackedMatrix.TileWidth, Math.Min(end * PackedMatrix.TileWidth, matrix.Outputs) - (start * PackedMatrix.TileWidth));
    }

    private void WriteText(int thread)
    {
        var (start, end) = _threads.Share(_count * _config.Heads, thread);
        for (var task = start; task < end; task++)
        {
            var (row, head) = Math.DivRem(task, _config.Heads);
            var query = Query(row, head);
            _rows[row].Text.Write(_layer, head, _rows[row].Position, query + _config.Width, query + (2 * _config.Width));
        }
    }

    private void Attend(int thread)
    {
        var kind = _layers[_layer].Kind;
        var headWidth = _config.HeadWidth;
        var scores = _scores.Pointer + ((long)thread * _scoresPerThread);
        var (start, end) = _threads.Share(_count * _config.Heads, thread);
        for (var task = start; task < end; task++)
        {
            var (index, head) = Math.DivRem(task, _config.Heads);
            var row = _rows[index];
            var query = Query(index, head);
            var output = _attended.Pointer + ((long)index * _config.Width) + (head * headWidth);
            var text = Plan.Text(row.Image is null ? row.Position : _config.TextLength - 1);
            var image = row.Image is null ? [] : Plan.Image(kind, row.Position);
            row.Image?.Write(_layer, head, Plan.ImageSlot(kind, row.Position), query + _config.Width, query + (2 * _config.Width));

            // From here the query and the output are this task's own.
            for (var i = 0; i < headWidth; i++)
            {
                query[i] *= _scale;
                output[i] = 0;
            }

            var imageScores = scores + (text.Length * Lanes);
            var largest = VectorMath.Scores(query, row.Text.Keys(_layer, head), text, headWidth, scores);
            if (row.Image is { } cache)
            {
                largest = Vector512.Max(largest, VectorMath.Scores(query, cache.Keys(_layer, head), image, headWidth, imageScores));
            }

            var sum = VectorMath.Exponentials(scores, (text.Length + image.Length) * Lanes, VectorMath.Largest(largest));
            VectorMath.AddValues(scores, row.Text.Values(_layer, head), text, headWidth, output);
            if (row.Image is { } values)
            {
                VectorMath.AddValues(imageScores, values.Values(_layer, head), image, headWidth, output);
            }

            VectorMath.Scale(output, 1 / sum, headWidth);
        }
    }

    /// <summary>Normalises the rows from one on and takes the image logits from them.</summary>
    private void Predict(int firstRow)
    {
        if (firstRow > 0)
        {
            // Only the last text position predicts an image token.
            Copy(_x.Pointer + ((long)firstRow * _config.Width), _x.Pointer);
            _count = 1;
        }

        for (var thread = 0; thread < _threads.Threads; thread++)
        {
            Normalize(thread, _vectors["norm.gain"], _vectors["norm.bias"]);
        }

        _threads.Run(_predict);
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

        _rows = new DecodeRow[rows];
        var layer = _layers[0];
        Grow(ref _x, _config.Width);
        Grow(ref _normal, _config.Width);
        Grow(ref _qkv, layer.Qkv.PaddedOutputs);
        Grow(ref _attended, _config.Width);
        Grow(ref _hidden, layer.Up.PaddedOutputs);
        Grow(ref _branch, layer.Output.PaddedOutputs);
        Logits.Dispose();
        Logits = new((long)rows * LogitStride);

        void Grow(ref FloatBuffer buffer, int width)
        {
            buffer.Dispose();
            buffer = new((long)rows * width);
        }
    }
}
