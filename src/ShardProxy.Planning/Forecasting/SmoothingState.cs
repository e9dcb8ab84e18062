namespace ShardProxy.Planning.Forecasting;

/// <summary>Running state of <see cref="SmoothingModel"/>: level, trend, seasonal terms and the last error.</summary>
internal sealed class SmoothingState
{
    private readonly int[] _lengths;
    private readonly double[][] _seasons;
    private readonly int[] _phases;
    private double _level;
    private double _trend;
    private double _lastError;

    /// <summary>Starts from the mean and the mean shape of the first cycles of <paramref name="values"/>.</summary>
    public SmoothingState(int[] lengths, ReadOnlySpan<double> values)
    {
        _lengths = lengths;
        _phases = new int[lengths.Length];
        _seasons = new double[lengths.Length][];
        if (lengths.Length == 0)
        {
            _level = Mean(values[..Math.Min(4, values.Length)]);
            return;
        }

        var cycles = Math.Clamp(values.Length / lengths[^1], 1, 2);
        var head = values[..Math.Min(values.Length, cycles * lengths[^1])].ToArray();
        _level = Mean(head);
        for (var i = 0; i < head.Length; i++)
        {
            head[i] -= _level;
        }

        for (var s = 0; s < lengths.Length; s++)
        {
            _seasons[s] = new double[lengths[s]];
            var counts = new int[lengths[s]];
            for (var i = 0; i < head.Length; i++)
            {
                _seasons[s][i % lengths[s]] += head[i];
                counts[i % lengths[s]]++;
            }

            for (var p = 0; p < lengths[s]; p++)
            {
                _seasons[s][p] /= Math.Max(1, counts[p]);
            }

            for (var i = 0; i < head.Length; i++)
            {
                head[i] -= _seasons[s][i % lengths[s]];
            }
        }
    }

    /// <summary>Takes in the next value and returns the one-step error made on it.</summary>
    public double Observe(double value, in SmoothingParameters p)
    {
        double seasonal = 0;
        for (var s = 0; s < _lengths.Length; s++)
        {
            seasonal += _seasons[s][_phases[s]];
        }

        var expected = _level + (p.Damping * _trend) + seasonal;
        var error = value - expected;
        var innovation = error - (p.Carry * _lastError);
        _level += (p.Damping * _trend) + (p.Level * error);
        _trend = (p.Damping * _trend) + (p.Trend * p.Level * error);
        for (var s = 0; s < _lengths.Length; s++)
        {
            _seasons[s][_phases[s]] += p.Season * (1 - p.Level) * error / _lengths.Length;
            _phases[s] = _phases[s] + 1 == _lengths[s] ? 0 : _phases[s] + 1;
        }

        // What the level has just taken in is no error any more.
        _lastError = error * (1 - p.Level);
        return innovation;
    }

    /// <summary>Forecasts the next values; the state stays as it is.</summary>
    public void Forecast(Span<double> result, in SmoothingParameters p)
    {
        double trend = 0;
        var damping = p.Damping;
        var carry = p.Carry;
        for (var h = 0; h < result.Length; h++)
        {
            trend += damping * _trend;
            damping *= p.Damping;
            double seasonal = 0;
            for (var s = 0; s < _lengths.Length; s++)
            {
                seasonal += _seasons[s][(_phases[s] + h) % _lengths[s]];
            }

            result[h] = _level + trend + seasonal + (carry * _lastError);
            carry *= p.Carry;
        }
    }

    private static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (var value in values)
        {
            sum += value;
        }

        return values.Length == 0 ? 0 : sum / values.Length;
    }
}
