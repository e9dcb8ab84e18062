using System.Globalization;
using ShardProxy.Stress.Tests.Faults;

namespace ShardProxy.Stress.Tests.Checking;

/// <summary>Whatever a migration puts on a node. When none is running or waits for its end, none of it is there.</summary>
internal static class Leftovers
{
    // Ghost rows are not here: the checker sees them among the rows.
    private const string Sql =
        """
        SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE slot_name LIKE 'shardproxy%'
        UNION ALL SELECT 'publication ' || pubname FROM pg_publication WHERE pubname LIKE 'shardproxy%'
        UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subname LIKE 'shardproxy%'
        UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '~~shardproxy%'
        UNION ALL SELECT 'sequence ' || c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = 'shardproxy' AND c.relkind = 'S' AND c.relname LIKE 'gate%'
        UNION ALL SELECT 'marker of migration ' || migration_id FROM shardproxy.marker
        UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
        UNION ALL SELECT 'replica identity ' || relreplident::text || ' of ' || oid::regclass FROM pg_class WHERE relname IN ('tokens', 'counters') AND relreplident <> 'd'
        UNION ALL SELECT 'session ' || application_name || ' ' || coalesce(state, '') FROM pg_stat_activity WHERE application_name LIKE 'shardproxy/migration/%'
        UNION ALL SELECT 'walsender ' || application_name FROM pg_stat_replication WHERE application_name LIKE 'shardproxy%'
        """;

    private const string Busy =
        """
        SELECT 'statement under way: ' || a.state || ' ' || left(a.query, 60) FROM shardproxy.backend b JOIN pg_stat_activity a ON a.pid = b.pid AND a.backend_start = b.backend_start
        WHERE a.state <> 'idle'
        UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
        """;

    /// <summary>What is on the nodes, one line each.</summary>
    public static Task<List<string>> FindAsync(FaultCluster cluster) => ListAsync(cluster, Sql);

    /// <summary>What clients have under way on the nodes, also those that are gone: nothing, while all of them wait and everything is decided.</summary>
    public static Task<List<string>> FindUnderWayAsync(FaultCluster cluster) => ListAsync(cluster, Busy);

    private static async Task<List<string>> ListAsync(FaultCluster cluster, string sql)
    {
        var found = new List<string>();
        for (var node = 0; node < FaultCluster.NodeCount; node++)
        {
            await using var connection = await cluster.OpenNodeAsync(node);
            await using var command = new Npgsql.NpgsqlCommand(sql, connection);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                found.Add(string.Create(CultureInfo.InvariantCulture, $"node{node + 1}: {reader.GetString(0)}"));
            }
        }

        return found;
    }
}
