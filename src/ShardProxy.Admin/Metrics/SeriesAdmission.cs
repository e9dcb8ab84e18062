using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// Bounds the label sets of one metric. A label set keeps its own series as long as it is seen; one that came too late is summed into
/// the overflow series for good, since leaving it would make that sum go down. Freed places go to label sets not yet seen.
/// </summary>
internal sealed class SeriesAdmission(MetricDefinition definition)
{
    private const int MaxRemembered = 16_384;
    private readonly SeriesKey _overflow = SeriesKey.OverflowOf(definition);
    private readonly Dictionary<SeriesKey, long> _admitted = [];
    private readonly HashSet<SeriesKey> _overflowed = [];
    private bool _isFull;

    /// <summary>How many label sets are known to be in the overflow series.</summary>
    public int OverflowCount => _overflowed.Count;

    /// <summary>The series <paramref name="key"/> is counted in.</summary>
    /// <param name="key">Label values.</param>
    /// <param name="round">Number of the collection.</param>
    public SeriesKey Place(SeriesKey key, long round)
    {
        if (_admitted.ContainsKey(key) || (!_isFull && _admitted.Count < definition.MaxSeries && !_overflowed.Contains(key)))
        {
            _admitted[key] = round;
            return key;
        }

        // When even the list of the refused is full, new and refused can no longer be told apart: nobody is let in any more.
        _isFull |= _overflowed.Count >= MaxRemembered;
        if (!_isFull)
        {
            _overflowed.Add(key);
        }

        return _overflow;
    }

    /// <summary>Frees the places of label sets not seen in <paramref name="round"/>.</summary>
    public void Release(long round)
    {
        foreach (var (key, seen) in _admitted)
        {
            if (seen < round)
            {
                _admitted.Remove(key);
            }
        }
    }
}
