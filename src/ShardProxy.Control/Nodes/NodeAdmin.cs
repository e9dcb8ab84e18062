using System.Globalization;
using Npgsql;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Nodes;

/// <summary>Prepares nodes for the project and checks that they can take part.</summary>
public sealed class NodeAdmin(NodeConnections connections)
{
    private const int SmallestVersion = 150000;
    private const int LargestRetrieveRetryMs = 100;

    /// <summary>Creates or completes schema <c>shardproxy</c> on a node. Idempotent, and safe from several proxies at once.</summary>
    public async Task BootstrapAsync(Node node, CancellationToken cancellationToken)
    {
        await using var connection = await connections.OpenAsync(node, cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var command = new NpgsqlCommand(NodeSchema.Ddl, connection, transaction))
        {
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Refuses a node whose settings a migration cannot live with; every message names the setting to change.</summary>
    /// <exception cref="ShardProxyException">SHP-508.</exception>
    public async Task PreflightAsync(Node node, CancellationToken cancellationToken)
    {
        const string Settings = """
            SELECT current_setting('server_version_num')::int,
                   current_setting('wal_level'),
                   (SELECT setting::int FROM pg_settings WHERE name = 'wal_retrieve_retry_interval'),
                   current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int,
                   current_setting('max_logical_replication_workers')::int,
                   current_setting('is_superuser'),
                   current_setting('server_encoding')
            """;
        await using var command = connections.Source(node).CreateCommand(Settings);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        Demand(reader.GetInt32(0) >= SmallestVersion, node, "runs a PostgreSQL older than 15", "Upgrade it.");
        Demand(reader.GetString(1) == "logical", node, "does not have wal_level = logical", "Set it and restart the server.");
        Demand(
            reader.GetInt32(2) <= LargestRetrieveRetryMs,
            node,
            string.Create(CultureInfo.InvariantCulture, $"has wal_retrieve_retry_interval = {reader.GetInt32(2)} ms"),
            "Set it to 100ms: with more, a second subscription starts that much later.");
        Demand(reader.GetInt32(3) > 0, node, "has no free replication slot", "Raise max_replication_slots and restart the server.");
        Demand(reader.GetInt32(4) > 0, node, "has max_logical_replication_workers = 0", "Raise it and restart the server.");
        Demand(reader.GetString(5) == "on", node, "is logged in on without superuser", "Subscriptions need one on PostgreSQL 15.");
        Demand(reader.GetString(6) == "UTF8", node, "has a database encoding other than UTF8", "Keys are hashed as UTF-8 bytes: recreate the database.");
    }

    private static void Demand(bool isMet, Node node, string problem, string hint)
    {
        if (!isMet)
        {
            throw new ShardProxyException(ControlErrors.Preflight($"node {node.Name} {problem}", hint));
        }
    }
}
