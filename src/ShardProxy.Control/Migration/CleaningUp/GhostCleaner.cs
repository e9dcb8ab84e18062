using Npgsql;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.CleaningUp;

/// <summary>
/// Deletes a range's rows from a node that does not own it, in batches by page. Each batch proves its right in its own transaction, under
/// the gate's lock, from a row on that very node: a cleaner that slept through its successor deletes nothing.
/// </summary>
internal sealed class GhostCleaner(MigrationContext context, Node node)
{
    private const string PermissionSql =
        "SELECT 1 FROM shardproxy.cleaning WHERE range_id = $1 AND migration_id = $2 AND token = $3 AND NOT is_owner FOR SHARE";

    /// <summary>Writes the permission: this node does not own the range, by this migration and this control plane.</summary>
    public Task PermitAsync(CancellationToken cancellationToken) => SetAsync(isOwner: false, cancellationToken);

    /// <summary>Takes it back, waiting out a batch under way: from here on rows of the range on this node may be live.</summary>
    public Task ForbidAsync(CancellationToken cancellationToken) => SetAsync(isOwner: true, cancellationToken);

    public async Task CleanAsync(bool isThrottled, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenSessionAsync(node, context.Names.Session, cancellationToken);
        await connection.RunAsync(context.Names.PassSql, cancellationToken);
        foreach (var table in context.Tables)
        {
            var pages = await PageChunks.CountPagesAsync(connection, table, cancellationToken);
            foreach (var chunk in PageChunks.Cut(pages, context.Options.CleanUpChunkPages))
            {
                var started = context.Time.GetTimestamp();
                var deleted = await DeleteAsync(connection, $"DELETE FROM ONLY {table.Sql} WHERE {chunk} AND {table.Predicate()}", cancellationToken);
                if (isThrottled && deleted > 0)
                {
                    await Task.Delay(context.Time.GetElapsedTime(started) * context.Options.CleanUpRestShare, context.Time, cancellationToken);
                }
            }
        }
    }

    private async Task<int> DeleteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await connection.RunAsync($"SELECT pg_catalog.pg_advisory_xact_lock_shared({NodeSchema.GateLockClass}, {context.RangeId})", cancellationToken);
        if (await connection.ScalarAsync<int>(PermissionSql, cancellationToken, context.RangeId, context.Id, context.Journal.Record.FencingToken) != 1
            && context.Options.Mutant != MigrationMutant.CleanerWithoutToken)
        {
            throw new ShardProxyException(ControlErrors.Preflight(
                $"node {node.Name} no longer lets migration {context.Id} clean up", "A later migration or control plane has taken over."));
        }

        await using var command = new NpgsqlCommand(sql, connection, transaction);
        var deleted = await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return deleted;
    }

    private async Task SetAsync(bool isOwner, CancellationToken cancellationToken)
    {
        // A higher token wins for good: an older control plane cannot give itself the permission back.
        const string Permission = """
            INSERT INTO shardproxy.cleaning AS c (range_id, migration_id, is_owner, token) VALUES ($1, $2, $3, $4)
            ON CONFLICT (range_id) DO UPDATE SET migration_id = excluded.migration_id, is_owner = excluded.is_owner, token = excluded.token
            WHERE c.token <= excluded.token AND c.migration_id <= excluded.migration_id RETURNING 1
            """;
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        if (await connection.ScalarAsync<int>(Permission, cancellationToken, context.RangeId, context.Id, isOwner, context.Journal.Record.FencingToken) != 1)
        {
            throw new ShardProxyException(ControlErrors.Preflight(
                $"node {node.Name} knows a later migration of range {context.RangeId} than {context.Id}", "Let the control plane that holds the lease do it."));
        }
    }
}
