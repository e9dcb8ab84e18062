namespace ShardProxy.Control.Migration;

/// <summary>Counters of a running migration, written by its steps and read by anyone.</summary>
internal sealed class MigrationProgress
{
    private long _rowsDone;
    private long _rowsTotal;
    private long _rowsVerified;
    private long _copyStarted;

    public long RowsDone => Interlocked.Read(ref _rowsDone);

    public long RowsTotal => Math.Max(Interlocked.Read(ref _rowsTotal), RowsDone);

    public long RowsVerified => Interlocked.Read(ref _rowsVerified);

    public void StartCopy(long estimatedRows, long timestamp)
    {
        Interlocked.Exchange(ref _rowsTotal, estimatedRows);
        Interlocked.Exchange(ref _copyStarted, timestamp);
    }

    public void AddCopied(long rows) => Interlocked.Add(ref _rowsDone, rows);

    /// <summary>After the copy the total is known.</summary>
    public void EndCopy() => Interlocked.Exchange(ref _rowsTotal, RowsDone);

    public void AddVerified(long rows) => Interlocked.Add(ref _rowsVerified, rows);

    /// <summary>Seconds the copy will still take at the pace so far; null when that cannot be told.</summary>
    public double? EtaSeconds(TimeProvider time)
    {
        var started = Interlocked.Read(ref _copyStarted);
        var (done, total) = (RowsDone, RowsTotal);
        return started == 0 || done == 0 ? null : time.GetElapsedTime(started).TotalSeconds * (total - done) / done;
    }
}
