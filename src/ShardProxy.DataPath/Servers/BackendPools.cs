using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// All server pools of this proxy, made on first use and removed when nobody has used them for long. One sweep every
/// <see cref="SweepEvery"/> does for all of them what time brings, so that no wait needs a timer of its own.
/// </summary>
internal sealed class BackendPools : IDisposable
{
    public static readonly TimeSpan SweepEvery = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan EmptyPoolLife = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<PoolKey, BackendPool> _pools = new();
    private readonly ConcurrentDictionary<int, NodeLink> _links = new();
    private readonly ConcurrentDictionary<string, bool> _paused = new(StringComparer.Ordinal);
    private readonly PoolContext _context;
    private readonly ITimer _sweeper;
    private int _isSweeping;

    public BackendPools(LiveOptions live, ServerConnector connector, TimeProvider time, Random random, Types.TypeTables types)
    {
        // Random is used by several pools at once; the shared generator is the only one of the framework made for that.
        _context = new PoolContext(live, connector, time, new CoarseClock(time), random, types);
        _sweeper = time.CreateTimer(static s => ((BackendPools)s!).Sweep(), this, SweepEvery, SweepEvery);
    }

    /// <summary>The pool of a node for a database and user.</summary>
    /// <exception cref="ServerUnavailableException">There are as many pools as there may be, and all are in use.</exception>
    public BackendPool Get(Node node, string database, string user) => Get(node, new PoolKey(node.Id, database, user));

    /// <summary>The pool of that key on that node.</summary>
    /// <exception cref="ServerUnavailableException">There are as many pools as there may be, and all are in use.</exception>
    public BackendPool Get(Node node, PoolKey key)
    {
        return _pools.TryGetValue(key, out var pool) ? pool : Add(node, key);
    }

    public ImmutableArray<PoolSnapshot> Snapshots() =>
        [.. _pools.Values.OrderBy(p => p.Key.NodeId).ThenBy(p => p.Key.Database, StringComparer.Ordinal).ThenBy(p => p.Key.User, StringComparer.Ordinal).ThenBy(p => p.Key.IsWorkspace).Select(p => p.Snapshot())];

    /// <summary>What the pools of each node share; of those nodes that were used so far.</summary>
    public IEnumerable<NodeLink> Links => _links.Values;

    /// <summary>Holds new work on a database, or lets it go on; for pools still to be made too.</summary>
    public void Pause(string database, bool isPaused)
    {
        if (isPaused)
        {
            _paused[database] = true;
        }
        else
        {
            _paused.TryRemove(database, out _);
        }

        foreach (var pool in _pools.Values)
        {
            if (string.Equals(pool.Key.Database, database, StringComparison.Ordinal))
            {
                pool.Pause(isPaused);
            }
        }
    }

    /// <summary>Databases that are paused.</summary>
    public IEnumerable<string> Paused => _paused.Keys;

    /// <summary>Databases that have a pool.</summary>
    public IEnumerable<string> Databases => _pools.Values.Select(p => p.Key.Database).Distinct(StringComparer.Ordinal);

    /// <summary>Closes the idle connection of a node, in another pool, that nobody has needed for longest. False when there is none.</summary>
    public bool EvictIdle(NodeLink link, BackendPool except)
    {
        foreach (var pool in _pools.Values.Where(p => p != except && p.Link == link).OrderBy(p => p.LastLease))
        {
            if (pool.TryEvictIdle())
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Closes what is idle and stands for no client: the server is about to do something to a database that it does only while nobody is connected to it.
    /// </summary>
    public void MakeWay()
    {
        foreach (var pool in _pools.Values)
        {
            pool.GiveUpUnassigned();
        }
    }

    /// <summary>Ends the wait of a client, by the token of its connection; false when it does not wait.</summary>
    public bool TryCancelWait(CancellationToken client) => _pools.Values.Any(p => p.TryCancelWait(client));

    public void Close()
    {
        foreach (var pool in _pools.Values)
        {
            pool.Close();
        }
    }

    public void Dispose()
    {
        _sweeper.Dispose();
        Close();
    }

    private void Sweep()
    {
        // A sweep that takes longer than the interval is not joined by another.
        if (Interlocked.Exchange(ref _isSweeping, 1) != 0)
        {
            return;
        }

        try
        {
            _context.Clock.Advance();
            var unused = _context.Clock.Now - _context.Clock.Ticks(EmptyPoolLife);
            foreach (var (_, pool) in _pools)
            {
                pool.Sweep();
                if (pool.Open == 0)
                {
                    pool.TryRetire(unused, Remove);
                }
            }
        }
        finally
        {
            Volatile.Write(ref _isSweeping, 0);
        }
    }

    private BackendPool Add(Node node, PoolKey key)
    {
        if (_pools.Count >= _context.Live.Current.MaxPools
            && !_pools.Values.OrderBy(p => p.LastLease).Any(p => p.TryRetire(long.MaxValue, Remove)))
        {
            throw new ServerUnavailableException(PoolErrors.TooManyPools(_context.Live.Current.MaxPools));
        }

        var link = _links.GetOrAdd(node.Id, static (_, made) => new NodeLink(made.Name, made._context.Live, made._context.Time, made._context.Random), (node.Name, _context));
        var pool = _pools.GetOrAdd(key, static (k, made) => new BackendPool(k, made.node, made.link, made.self, made.self._context), (node, link, self: this));
        if (_paused.ContainsKey(key.Database))
        {
            pool.Pause(isPaused: true);
        }

        return pool;
    }

    private void Remove(BackendPool pool) => _pools.TryRemove(new KeyValuePair<PoolKey, BackendPool>(pool.Key, pool));
}
