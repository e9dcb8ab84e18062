using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>Counts of one pool; written under its lock. What a node's pools have in common outlives them with their link.</summary>
internal sealed class PoolFigures(NodeLink link)
{
    /// <summary>Leases that had to wait.</summary>
    public long Waited { get; set; }

    /// <summary>Leases that gave up.</summary>
    public long Timeouts { get; private set; }

    /// <summary>Connections opened.</summary>
    public long Opened { get; set; }

    /// <summary>Connections closed, for whatever reason.</summary>
    public long Closed { get; set; }

    /// <summary>Connections that could not be opened.</summary>
    public long Errors { get; set; }

    public double MaxWaitMs { get; private set; }

    public PoolSnapshot Snapshot(BackendPool pool, DataPathOptions options, int idle, int open, int opening, WaitLine line, TimeSpan longestWait, bool isPaused) => new(
        pool.Node.Name, pool.Key.Database, pool.Key.User, idle, open - idle - opening, opening, line.Count, options.PoolSize, Waited, MaxWaitMs)
    {
        Minimum = options.PoolMinimum,
        Reserve = options.PoolReserve,
        ReserveInUse = Math.Max(0, open - options.PoolSize),
        LongestWaitMs = longestWait.TotalMilliseconds,
        Opened = Opened,
        Closed = Closed,
        Errors = Errors,
        Timeouts = Timeouts,
        IsPaused = isPaused,
        IsWorkspace = pool.Key.IsWorkspace,
    };

    /// <summary>Somebody's place in the line is free again, however that ended.</summary>
    public void EndWait(TimeSpan waited)
    {
        MaxWaitMs = Math.Max(MaxWaitMs, waited.TotalMilliseconds);
        link.AddWait(waited);
    }

    /// <summary>A lease gave up, or did not even join the line.</summary>
    public void CountTimeout()
    {
        Timeouts++;
        link.AddTimeout();
    }
}
