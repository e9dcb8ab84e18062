using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace ShardProxy.Model.Metrics;

/// <summary>
/// A histogram of durations with fixed buckets that its owner feeds on the hot path: recording allocates nothing and takes no
/// lock. It is read when a scrape asks, through <see cref="Publish"/>. Thread-safe.
/// </summary>
public sealed class DurationHistogram
{
    private readonly long[] _boundsMicros;
    private readonly long[] _counts;
    private readonly KeyValuePair<string, object?>[][] _bucketTags;
    private readonly KeyValuePair<string, object?>[] _tags;
    private long _sumMicros;

    /// <param name="definition">A histogram of the catalog, in seconds.</param>
    /// <param name="tags">Its labels, without <c>le</c>.</param>
    public DurationHistogram(MetricDefinition definition, params KeyValuePair<string, object?>[] tags)
    {
        ArgumentOutOfRangeException.ThrowIfZero(definition.Buckets.Length);
        _boundsMicros = [.. definition.Buckets.Select(b => (long)Math.Round(b * 1e6))];
        _counts = new long[_boundsMicros.Length + 1];
        _tags = tags;
        _bucketTags =
        [
            .. definition.Buckets.Select(b => Le(b.ToString("R", CultureInfo.InvariantCulture))),
            Le("+Inf"),
        ];

        KeyValuePair<string, object?>[] Le(string bound) => [.. tags, new("le", bound)];
    }

    /// <summary>Counts one duration in microseconds. A value on a bound belongs to that bound's bucket, as Prometheus has it.</summary>
    public void RecordMicros(long micros)
    {
        var i = 0;
        while (i < _boundsMicros.Length && micros > _boundsMicros[i])
        {
            i++;
        }

        Interlocked.Increment(ref _counts[i]);
        Interlocked.Add(ref _sumMicros, micros);
    }

    /// <summary>Counts the time from <paramref name="startTimestamp"/> (of <see cref="TimeProvider.GetTimestamp"/>) to <paramref name="endTimestamp"/>.</summary>
    public void RecordTicks(long startTimestamp, long endTimestamp, long timestampFrequency) =>
        RecordMicros((long)((endTimestamp - startTimestamp) * (1e6 / timestampFrequency)));

    /// <summary>
    /// The three instruments of a histogram on <paramref name="meter"/>, fed from the histograms <paramref name="series"/> returns.
    /// </summary>
    public static void Publish(Meter meter, MetricDefinition definition, Func<IEnumerable<DurationHistogram>> series)
    {
        Debug.Assert(definition.Type == MetricType.Histogram, "only histograms have three instruments");
        meter.CreateObservableCounter(definition.BucketInstrument, () => series().SelectMany(h => h.Buckets()));
        meter.CreateObservableCounter(definition.SumInstrument, () => series().Select(h => h.Sum()));
        meter.CreateObservableCounter(definition.CountInstrument, () => series().Select(h => h.Count()));
    }

    private IEnumerable<Measurement<long>> Buckets()
    {
        long cumulative = 0;
        for (var i = 0; i < _counts.Length; i++)
        {
            cumulative += Interlocked.Read(ref _counts[i]);
            yield return new Measurement<long>(cumulative, _bucketTags[i]);
        }
    }

    private Measurement<double> Sum() => new(Interlocked.Read(ref _sumMicros) / 1e6, _tags);

    private Measurement<long> Count()
    {
        long count = 0;
        for (var i = 0; i < _counts.Length; i++)
        {
            count += Interlocked.Read(ref _counts[i]);
        }

        return new Measurement<long>(count, _tags);
    }
}
