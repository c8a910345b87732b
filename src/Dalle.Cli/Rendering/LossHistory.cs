namespace Dalle.Cli.Rendering;

/// <summary>A curve of bounded size over a run of any length: when it is full, neighbours are averaged and each point stands for twice as many values.</summary>
/// <param name="capacity">Points kept at most; even.</param>
internal sealed class LossHistory(int capacity = 512)
{
    private readonly List<double> _points = new(capacity);
    private int _valuesPerPoint = 1;
    private double _sum;
    private int _values;

    /// <summary>The curve so far, oldest first.</summary>
    public IReadOnlyList<double> Points => _points;

    /// <summary>Adds the next value. One that is not finite has no place on a curve and is left out.</summary>
    public void Add(double value)
    {
        if (!double.IsFinite(value))
        {
            return;
        }

        _sum += value;
        if (++_values < _valuesPerPoint)
        {
            return;
        }

        _points.Add(_sum / _values);
        (_sum, _values) = (0, 0);
        if (_points.Count == capacity)
        {
            Halve();
        }
    }

    public void Clear()
    {
        _points.Clear();
        (_valuesPerPoint, _sum, _values) = (1, 0, 0);
    }

    private void Halve()
    {
        for (var i = 0; i < capacity / 2; i++)
        {
            _points[i] = (_points[2 * i] + _points[(2 * i) + 1]) / 2;
        }

        _points.RemoveRange(capacity / 2, capacity / 2);
        _valuesPerPoint *= 2;
    }
}
