using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// The state of one metric. Observable instruments report anew at every collection; pushed ones (<c>Counter.Add</c>,
/// <c>Histogram.Record</c>) are kept from one to the next. Not thread-safe: the collector's lock covers it.
/// </summary>
internal sealed class MetricFamily(MetricDefinition definition)
{
    private readonly Dictionary<SeriesKey, double> _observed = [];
    private readonly Dictionary<SeriesKey, HistogramPoint> _observedHistograms = [];
    private readonly Dictionary<SeriesKey, double> _pushed = [];
    private readonly Dictionary<SeriesKey, HistogramPoint> _pushedHistograms = [];
    private readonly SeriesAdmission _admission = new(definition);
    private readonly SeriesAdmission _pushedAdmission = new(definition);

    public MetricDefinition Definition => definition;

    public int OverflowCount => _admission.OverflowCount + _pushedAdmission.OverflowCount;

    /// <summary>Forgets what observable instruments reported last time.</summary>
    public void BeginRound()
    {
        _observed.Clear();
        _observedHistograms.Clear();
    }

    public void EndRound(long round) => _admission.Release(round);

    /// <summary>A value of an observable instrument; several of one series are summed.</summary>
    public void Observe(string instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, long round)
    {
        var key = _admission.Place(SeriesKey.Of(definition, tags), round);
        if (definition.Type != MetricType.Histogram)
        {
            _observed[key] = _observed.GetValueOrDefault(key) + value;
            return;
        }

        var point = Point(_observedHistograms, key);
        if (instrument == definition.BucketInstrument)
        {
            foreach (var tag in tags)
            {
                if (tag.Key == "le" && tag.Value is string bound)
                {
                    point.AddBucket(bound, value);
                }
            }
        }
        else if (instrument == definition.SumInstrument)
        {
            point.AddSum(value);
        }
    }

    /// <summary>A pushed value: added to a counter, recorded in a histogram, or the new value of a gauge.</summary>
    public void Push(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, bool replaces)
    {
        var key = _pushedAdmission.Place(SeriesKey.Of(definition, tags), long.MaxValue);
        if (definition.Type == MetricType.Histogram)
        {
            Point(_pushedHistograms, key).Record(value);
        }
        else
        {
            _pushed[key] = replaces ? value : _pushed.GetValueOrDefault(key) + value;
        }
    }

    /// <summary>Scalar series, ordered by label values, numbers as numbers.</summary>
    public IEnumerable<KeyValuePair<SeriesKey, double>> Values() =>
        _observed.Concat(_pushed).OrderBy(s => s.Key, SeriesOrder.Instance);

    /// <summary>Histogram series, ordered likewise.</summary>
    public IEnumerable<KeyValuePair<SeriesKey, HistogramPoint>> Histograms() =>
        _observedHistograms.Concat(_pushedHistograms).OrderBy(s => s.Key, SeriesOrder.Instance);

    private HistogramPoint Point(Dictionary<SeriesKey, HistogramPoint> points, SeriesKey key)
    {
        if (!points.TryGetValue(key, out var point))
        {
            points[key] = point = new HistogramPoint(definition.Buckets);
        }

        return point;
    }
}
