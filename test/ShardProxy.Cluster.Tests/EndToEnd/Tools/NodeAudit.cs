using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>Looks at every node directly, around the proxy, for what migrations and transactions must not leave behind.</summary>
internal static class NodeAudit
{
    private const string Leftovers =
        """
        SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
        UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
        UNION ALL SELECT 'publication ' || pubname FROM pg_publication
        UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
        UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
        UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE '~~shardproxy%'
        UNION ALL SELECT 'sequence ' || relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'shardproxy'::regnamespace
        UNION ALL SELECT 'replica identity of ' || relname FROM pg_class WHERE relkind = 'r' AND relreplident = 'f' AND relnamespace = 'public'::regnamespace
        ORDER BY 1
        """;

    /// <summary>Objects of migrations and prepared transactions on all nodes, each with its node's name; none on a settled cluster.</summary>
    public static async Task<List<string>> LeftoversAsync(ProxyProcess proxy, CancellationToken cancellationToken)
    {
        var found = new List<string>();
        foreach (var node in proxy.NodeNames)
        {
            found.AddRange((await Db.RowsAsync(proxy.NodeConnectionString(node), Leftovers, cancellationToken)).Select(r => $"{node}: {r.Columns[0].Value}"));
        }

        return found;
    }

    /// <summary>Rows of a table with an integer key that lie on a node which does not own them.</summary>
    public static async Task<long> GhostRowsAsync(ProxyProcess proxy, string table, string key, CancellationToken cancellationToken)
    {
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        var ranges = await console.RangesOfAsync(table, cancellationToken);
        var ghosts = 0L;
        foreach (var node in proxy.NodeNames)
        {
            var foreign = ranges.Where(r => r.Node != node).Select(r => string.Create(
                CultureInfo.InvariantCulture, $"(h >= {r.From}{(r.To is { } to ? string.Create(CultureInfo.InvariantCulture, $" AND h < {to}") : "")})"));
            var condition = string.Join(" OR ", foreign.DefaultIfEmpty("false"));
            ghosts += await Db.ScalarAsync<long>(
                proxy.NodeConnectionString(node), $"SELECT count(*) FROM (SELECT hashint8extended({key}, 0) AS h FROM {table}) AS t WHERE {condition}", cancellationToken);
        }

        return ghosts;
    }

    /// <summary>A query's value on each node, in order.</summary>
    public static async Task<List<long>> OnEachNodeAsync(ProxyProcess proxy, string sql, CancellationToken cancellationToken)
    {
        var values = new List<long>();
        foreach (var node in proxy.NodeNames)
        {
            values.Add(await Db.ScalarAsync<long>(proxy.NodeConnectionString(node), sql, cancellationToken));
        }

        return values;
    }

    /// <summary>Fails the test when a node holds leftovers or ghosts of a sharded table.</summary>
    public static async Task AssertSettledAsync(ProxyProcess proxy, CancellationToken cancellationToken, params (string Table, string Key)[] sharded)
    {
        // A rollback window may be open still.
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(40));
        while (!deadline.IsCancellationRequested && (await LeftoversAsync(proxy, cancellationToken)).Count > 0)
        {
            await Task.Yield();
        }

        Assert.That(await LeftoversAsync(proxy, cancellationToken), Is.Empty, "what migrations and transactions left on the nodes");
        foreach (var (table, key) in sharded)
        {
            Assert.That(await GhostRowsAsync(proxy, table, key, cancellationToken), Is.Zero, $"ghost rows of {table}");
        }
    }
}
