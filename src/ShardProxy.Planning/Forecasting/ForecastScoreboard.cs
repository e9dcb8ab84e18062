using ShardProxy.Model.Plans;

namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Scores forecasts once their time has come: beside the naive forecast of the same moment, and by whether the interval held.
/// Shows where the forecasts in use are worse than taking the last value. Bounded; older scores fade.
/// </summary>
public sealed class ForecastScoreboard
{
    private const int MostPending = 65_536;
    private const int MostSeries = 4096;

    /// <summary>Weight that a score keeps when the next one comes: about 30 matured steps count.</summary>
    private const double Memory = 0.97;

    private readonly Queue<Pending> _pending = new();
    private readonly Dictionary<SeriesKey, Tally> _tallies = [];

    /// <summary>Remembers a forecast made when bin <paramref name="origin"/> was the first unknown one.</summary>
    public void Issue(SeriesKey series, long origin, Forecast forecast, double lastValue)
    {
        while (_pending.Count >= MostPending)
        {
            _pending.Dequeue();
        }

        _pending.Enqueue(new Pending(series, origin, forecast, lastValue));
    }

    /// <summary>
    /// Scores every remembered forecast whose whole horizon has passed.
    /// </summary>
    /// <param name="endBin">First bin not yet known.</param>
    /// <param name="actual">What was observed for a series in a bin; NaN for a gap.</param>
    public void Mature(long endBin, Func<SeriesKey, long, double> actual)
    {
        while (_pending.TryPeek(out var pending) && pending.Origin + pending.Forecast.Horizon <= endBin)
        {
            _pending.Dequeue();
            if (!_tallies.TryGetValue(pending.Series, out var tally))
            {
                if (_tallies.Count >= MostSeries)
                {
                    // Series vanish with splits and merges: begin anew rather than keep the dead ones for ever.
                    _tallies.Clear();
                }

                _tallies[pending.Series] = tally = new Tally();
            }

            for (var h = 0; h < pending.Forecast.Horizon; h++)
            {
                var value = actual(pending.Series, pending.Origin + h);
                if (!double.IsNaN(value))
                {
                    tally.Add(value, pending.Forecast.Point[h], pending.Forecast.Lower[h], pending.Forecast.Upper[h], pending.LastValue);
                }
            }
        }
    }

    /// <summary>The score of a series; null when none of its forecasts has matured.</summary>
    public MaturedScore? ScoreOf(SeriesKey series) =>
        _tallies.TryGetValue(series, out var tally) && tally.Count > 0 ? tally.Score() : null;

    private sealed record Pending(SeriesKey Series, long Origin, Forecast Forecast, double LastValue);

    private sealed class Tally
    {
        private double _weight;
        private double _error;
        private double _naiveError;
        private double _inside;

        public long Count { get; private set; }

        public void Add(double actual, double point, double lower, double upper, double naive)
        {
            _weight = (_weight * Memory) + 1;
            _error = (_error * Memory) + Math.Abs(actual - point);
            _naiveError = (_naiveError * Memory) + Math.Abs(actual - naive);
            // Sums of floats differ in the last digits; a bound met exactly is met.
            var slack = 1e-6 * (1 + Math.Abs(actual));
            _inside = (_inside * Memory) + (actual >= lower - slack && actual <= upper + slack ? 1 : 0);
            Count++;
        }

        public MaturedScore Score() => new(Count, _error / _weight, _naiveError / _weight, _inside / _weight);
    }
}
