using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>All server pools of this proxy, made on first use.</summary>
internal sealed class BackendPools(DataPathOptions options, ServerConnector connector, TimeProvider time)
{
    private readonly ConcurrentDictionary<PoolKey, BackendPool> _pools = new();

    /// <summary>The pool of a node for a database and user.</summary>
    public BackendPool Get(Node node, string database, string user)
    {
        var key = new PoolKey(node.Id, database, user);
        return _pools.TryGetValue(key, out var pool) ? pool : Add(node, key);
    }

    public ImmutableArray<PoolSnapshot> Snapshots() =>
        [.. _pools.Values.OrderBy(p => p.Key.NodeId).ThenBy(p => p.Key.Database, StringComparer.Ordinal).ThenBy(p => p.Key.User, StringComparer.Ordinal).Select(p => p.Snapshot())];

    /// <summary>Leases that gave up waiting, by node.</summary>
    public IEnumerable<(string Node, long Timeouts)> Timeouts() =>
        _pools.Values.GroupBy(p => p.Node.Name, StringComparer.Ordinal).Select(g => (g.Key, g.Sum(p => p.Timeouts)));

    public void Close()
    {
        foreach (var pool in _pools.Values)
        {
            pool.Close();
        }
    }

    private BackendPool Add(Node node, PoolKey key) =>
        _pools.GetOrAdd(key, static (k, context) => new BackendPool(k, context.node, context.options, context.connector, context.time), (node, options, connector, time));
}
