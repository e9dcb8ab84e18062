namespace ShardProxy.Sql;

/// <summary>Running totals of one shape. Lock-free, allocates nothing; the figures are not taken at one moment.</summary>
public sealed class ShapeStatistics
{
    private long _calls;
    private long _errors;
    private long _rows;
    private long _totalMicros;
    private long _maxMicros;

    public long Calls => Volatile.Read(ref _calls);

    public long Errors => Volatile.Read(ref _errors);

    /// <summary>Rows returned or changed.</summary>
    public long Rows => Volatile.Read(ref _rows);

    public long TotalMicros => Volatile.Read(ref _totalMicros);

    public long MaxMicros => Volatile.Read(ref _maxMicros);

    /// <summary>Accounts one execution.</summary>
    public void Record(long micros, long rows, bool isError)
    {
        Interlocked.Increment(ref _calls);
        Interlocked.Add(ref _totalMicros, micros);
        if (rows != 0)
        {
            Interlocked.Add(ref _rows, rows);
        }

        if (isError)
        {
            Interlocked.Increment(ref _errors);
        }

        var seen = Volatile.Read(ref _maxMicros);
        while (micros > seen)
        {
            var before = Interlocked.CompareExchange(ref _maxMicros, micros, seen);
            if (before == seen)
            {
                break;
            }

            seen = before;
        }
    }
}
