using System.Globalization;
using ShardProxy.Model.Metrics;

namespace ShardProxy.DataPath.Recording;

/// <summary>Totals of one range since the start, for the metrics.</summary>
internal sealed class RangeCounters(int rangeId)
{
    private long _statements, _errors;

    public string Range { get; } = rangeId.ToString(CultureInfo.InvariantCulture);

    public DurationHistogram Duration { get; } =
        new(MetricCatalog.RangeRequestDuration, new KeyValuePair<string, object?>("range", rangeId.ToString(CultureInfo.InvariantCulture)));

    public long Statements => Volatile.Read(ref _statements);

    public long Errors => Volatile.Read(ref _errors);

    public void Add(bool isError, long busyMicros)
    {
        Interlocked.Increment(ref _statements);
        if (isError)
        {
            Interlocked.Increment(ref _errors);
        }

        Duration.RecordMicros(busyMicros);
    }
}
