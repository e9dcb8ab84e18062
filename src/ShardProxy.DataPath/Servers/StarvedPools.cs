namespace ShardProxy.DataPath.Servers;

/// <summary>Pools of a node whose clients wait because other pools have all the connections the node may have. Thread-safe.</summary>
internal sealed class StarvedPools
{
    private readonly Lock _lock = new();
    private readonly Queue<BackendPool> _pools = new();
    private volatile int _count;

    public bool Any => _count > 0;

    /// <summary>Adds a pool unless it is there.</summary>
    public void Add(BackendPool pool)
    {
        lock (_lock)
        {
            if (!_pools.Contains(pool))
            {
                _pools.Enqueue(pool);
                _count = _pools.Count;
            }
        }
    }

    /// <summary>The pool that has starved longest, taken out; it adds itself again if it is not satisfied.</summary>
    public BackendPool? Take()
    {
        lock (_lock)
        {
            var found = _pools.TryDequeue(out var pool);
            _count = _pools.Count;
            return found ? pool : null;
        }
    }

    /// <summary>The pool that has starved longest.</summary>
    public BackendPool? Peek()
    {
        lock (_lock)
        {
            return _pools.TryPeek(out var pool) ? pool : null;
        }
    }
}
