namespace ShardProxy.DataPath.Servers;

/// <summary>A timestamp that is set at every sweep: exact enough for idle times and lifetimes, and free to read.</summary>
internal sealed class CoarseClock(TimeProvider time)
{
    private long _now = time.GetTimestamp();

    public long Now => Volatile.Read(ref _now);

    public void Advance() => Volatile.Write(ref _now, time.GetTimestamp());

    /// <summary>Length in units of the clock.</summary>
    public long Ticks(TimeSpan length) => (long)(length.TotalSeconds * time.TimestampFrequency);
}
