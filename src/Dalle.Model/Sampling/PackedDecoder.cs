using Dalle.Model.Parameters;
using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>Decodes on the CPU with <see cref="PackedTransformer"/>.</summary>
internal sealed class PackedDecoder(TransformerConfig config, ParameterStore parameters, int threads) : IDecoder
{
    private readonly PackedTransformer _transformer = new(config, parameters, threads);

    public IDecoding Start(IReadOnlyList<int[]> captions, IReadOnlyList<int> captionOfSequence) =>
        new PackedDecoding(_transformer, config.ImageVocabulary, captions, captionOfSequence);

    public void Dispose() => _transformer.Dispose();

    private sealed class PackedDecoding : IDecoding
    {
        private readonly PackedTransformer _transformer;
        private readonly int _vocabulary;
        private readonly KeyValueCache[] _texts;
        private readonly KeyValueCache[] _images;
        private readonly int[] _captions;
        private readonly int[] _positions;
        private readonly DecodeRow[] _rows;
        private readonly FloatBuffer _logits;

        public PackedDecoding(PackedTransformer transformer, int vocabulary, IReadOnlyList<int[]> captions, IReadOnlyList<int> captionOfSequence)
        {
            (_transformer, _vocabulary, _captions) = (transformer, vocabulary, [.. captionOfSequence]);
            _texts = [.. captions.Select(_ => transformer.NewTextCache())];
            _images = [.. captionOfSequence.Select(_ => transformer.NewImageCache())];
            _positions = new int[_images.Length];
            _rows = new DecodeRow[_images.Length];
            _logits = new((long)_images.Length * vocabulary);
            for (var caption = 0; caption < _texts.Length; caption++)
            {
                transformer.Prefill(captions[caption], _texts[caption]);
                for (var sequence = 0; sequence < _captions.Length; sequence++)
                {
                    if (_captions[sequence] == caption)
                    {
                        TakeLogits(row: 0, sequence);
                    }
                }
            }
        }

        public ReadOnlySpan<float> Logits(int sequence) => _logits.Slice((long)sequence * _vocabulary, _vocabulary);

        public void Step(ReadOnlySpan<int> sequences, ReadOnlySpan<int> tokens)
        {
            for (var row = 0; row < sequences.Length; row++)
            {
                var sequence = sequences[row];
                _rows[row] = new(_texts[_captions[sequence]], _images[sequence], _positions[sequence]++, tokens[row]);
            }

            _transformer.Step(_rows.AsSpan(0, sequences.Length));
            for (var row = 0; row < sequences.Length; row++)
            {
                TakeLogits(row, sequences[row]);
            }
        }

        public void Dispose()
        {
            foreach (var cache in _texts.Concat(_images))
            {
                cache.Dispose();
            }

            _logits.Dispose();
        }

        private void TakeLogits(int row, int sequence) =>
            _transformer.Logits.Slice((long)row * _transformer.LogitStride, _vocabulary).CopyTo(_logits.Slice((long)sequence * _vocabulary, _vocabulary));
    }
}
