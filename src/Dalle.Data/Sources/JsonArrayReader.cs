using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Dalle.Data.Sources;

/// <summary>Reads one array of a large JSON object element by element; the rest of the file is passed over. Memory is bounded by the largest element.</summary>
internal sealed class JsonArrayReader(Stream stream, string property, int maxElementBytes)
{
    private byte[] _buffer = new byte[Math.Min(64 << 10, maxElementBytes)];
    private int _filled;
    private bool _ended;
    private bool _named;
    private bool _inside;
    private JsonReaderState _state;

    /// <exception cref="JsonException">The file is not JSON, ends early, or has an element over the limit.</exception>
    public async IAsyncEnumerable<JsonElement> Read([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var elements = new List<JsonElement>();
        while (!_ended)
        {
            var read = await stream.ReadAsync(_buffer.AsMemory(_filled), cancellationToken);
            _filled += read;
            _ended = read == 0;
            ReadFilled(elements);
            foreach (var element in elements)
            {
                yield return element;
            }
            elements.Clear();
        }
    }

    private void ReadFilled(List<JsonElement> elements)
    {
        var reader = new Utf8JsonReader(_buffer.AsSpan(0, _filled), _ended, _state);
        var done = reader;
        while (reader.Read() && TryTake(ref reader, elements))
        {
            done = reader;
        }
        var consumed = (int)done.BytesConsumed;
        _state = done.CurrentState;
        _buffer.AsSpan(consumed, _filled - consumed).CopyTo(_buffer);
        _filled -= consumed;
        if (_filled == _buffer.Length)
        {
            if (_filled >= maxElementBytes)
            {
                throw new JsonException($"An element of '{property}' is longer than {maxElementBytes:N0} bytes.");
            }
            Array.Resize(ref _buffer, Math.Min(2 * _buffer.Length, maxElementBytes));
        }
    }

    /// <summary>Handles the token just read; false if it begins an element that is not all in the buffer yet.</summary>
    private bool TryTake(ref Utf8JsonReader reader, List<JsonElement> elements)
    {
        if (_inside)
        {
            if (reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == 1)
            {
                _inside = false;
                return true;
            }
            var ahead = reader;
            if (!ahead.TrySkip())
            {
                return false;
            }
            elements.Add(JsonElement.ParseValue(ref reader));
        }
        else if (_named)
        {
            (_named, _inside) = (false, reader.TokenType == JsonTokenType.StartArray);
        }
        else
        {
            _named = reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1 && reader.ValueTextEquals(property);
        }
        return true;
    }
}
