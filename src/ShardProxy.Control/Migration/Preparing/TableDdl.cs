using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>
/// DDL that needs a strong lock on a client's table: one table a transaction, a short lock timeout and patience, so that clients
/// never queue behind it for long. A deadlock timeout below the lock timeout makes an autovacuum on the table yield.
/// </summary>
internal static class TableDdl
{
    public static async Task RunAsync(MigrationContext context, Node node, string sql, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        await context.WithinAsync(
            context.Options.TableLockDeadline,
            "lock a table",
            async ct =>
            {
                for (var attempt = 0; !await TryOnceAsync(connection, sql, context.Options.TableLockTry, ct); attempt++)
                {
                    await context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(500), ct);
                }
            },
            cancellationToken);
    }

    /// <summary>
    /// Waits while another migration keeps the table as it is: an exclusive lock could not be had before its end, and each try would make clients queue.
    /// </summary>
    public static async Task WaitForHoldersAsync(MigrationContext context, Node node, string tableSql, CancellationToken cancellationToken)
    {
        const string IsHeld = """
            SELECT EXISTS (
                SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid JOIN pg_catalog.pg_database d ON d.oid = l.database
                WHERE l.locktype = 'relation' AND l.relation = pg_catalog.to_regclass($1) AND l.granted AND d.datname = current_database()
                  AND a.application_name LIKE 'shardproxy/migration/%' AND a.application_name <> $2)
            """;
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        for (var attempt = 0; await connection.ScalarAsync<bool>(IsHeld, cancellationToken, tableSql, context.Names.Session); attempt++)
        {
            await context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(1), cancellationToken);
        }
    }

    private static async Task<bool> TryOnceAsync(NpgsqlConnection connection, string sql, TimeSpan lockTimeout, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        try
        {
            await using var command = new NpgsqlCommand(
                $"SET LOCAL lock_timeout = {(int)lockTimeout.TotalMilliseconds}; SET LOCAL deadlock_timeout = 10; SET LOCAL client_min_messages = warning; {sql}",
                connection,
                transaction);
            await command.ExecuteNonQueryAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return true;
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            await transaction.RollbackAsync(cancellationToken);
            return false;
        }
    }
}
