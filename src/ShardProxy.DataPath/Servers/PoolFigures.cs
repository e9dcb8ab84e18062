namespace ShardProxy.DataPath.Servers;

/// <summary>Counts of one pool; written under its lock.</summary>
internal sealed class PoolFigures
{
    private long _timeouts;

    /// <summary>Leases that had to wait.</summary>
    public long Waited { get; set; }

    /// <summary>Leases that gave up.</summary>
    public long Timeouts
    {
        get => Volatile.Read(ref _timeouts);
        set => Volatile.Write(ref _timeouts, value);
    }

    /// <summary>Connections opened.</summary>
    public long Opened { get; set; }

    /// <summary>Connections closed, for whatever reason.</summary>
    public long Closed { get; set; }

    /// <summary>Connections that could not be opened.</summary>
    public long Errors { get; set; }

    public double MaxWaitMs { get; private set; }

    public void EndWait(TimeSpan waited) => MaxWaitMs = Math.Max(MaxWaitMs, waited.TotalMilliseconds);
}
