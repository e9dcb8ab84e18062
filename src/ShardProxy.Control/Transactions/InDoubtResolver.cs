using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Transactions;

/// <summary>
/// Ends prepared transactions whose coordinator is gone. The decision is the commit record on the deciding node: present as committed, the
/// parts are committed; else this writes "aborted" first, which makes a late coordinator fail, and rolls the parts back.
/// </summary>
public sealed class InDoubtResolver(RoutingCatalog catalog, NodeConnections connections, TimeSpan minimumAge)
{
    private const string Prefix = "shardproxy:";

    /// <summary>Parts looked at and records pruned in one pass.</summary>
    private const int BatchSize = 1000;

    /// <summary>One pass over all nodes. A node that cannot be reached is left for the next pass.</summary>
    /// <returns>How many prepared transactions were ended.</returns>
    public async Task<int> ResolveAsync(CancellationToken cancellationToken)
    {
        var nodes = (await catalog.LoadAsync(cancellationToken)).Nodes;
        var resolved = 0;
        var open = new HashSet<string>(StringComparer.Ordinal);
        var isComplete = true;
        foreach (var node in nodes)
        {
            try
            {
                resolved += await ResolveNodeAsync(node, nodes, open, cancellationToken);
            }
            catch (NpgsqlException)
            {
                isComplete = false;
            }
        }

        if (isComplete)
        {
            await PruneAsync(nodes, open, cancellationToken);
        }

        return resolved;
    }

    /// <summary>The deciding node's id in <c>shardproxy:&lt;proxy&gt;:&lt;session&gt;:&lt;txn&gt;:&lt;node&gt;:&lt;epoch&gt;</c>, or null when it is no such name.</summary>
    internal static int? DecidingNode(string gid)
    {
        // The proxy's id is configured and might hold a colon, so count from the end.
        var parts = gid.Split(':');
        return gid.StartsWith(Prefix, StringComparison.Ordinal) && parts.Length >= 6 && int.TryParse(parts[^2], out var id) ? id : null;
    }

    private async Task<int> ResolveNodeAsync(Node node, ImmutableArray<Node> nodes, HashSet<string> open, CancellationToken cancellationToken)
    {
        const string Prepared = """
            SELECT gid, prepared < clock_timestamp() - $1 FROM pg_prepared_xacts
            WHERE database = current_database() AND starts_with(gid, 'shardproxy:') ORDER BY prepared LIMIT 1000
            """;
        await using var connection = await connections.OpenAsync(node, cancellationToken);
        var found = await connection.RowsAsync(Prepared, r => (Gid: r.GetString(0), IsOld: r.GetBoolean(1)), cancellationToken, minimumAge);
        var resolved = 0;
        foreach (var (gid, isOld) in found)
        {
            open.Add(gid);
            if (!isOld || DecidingNode(gid) is not { } deciding || nodes.FirstOrDefault(n => n.Id == deciding) is not { } decider
                || await DecideAsync(decider, gid, cancellationToken) is not { } isCommitted)
            {
                continue;
            }

            try
            {
                await connection.RunAsync($"{(isCommitted ? "COMMIT" : "ROLLBACK")} PREPARED {SqlIdentifier.Literal(gid)}", cancellationToken);
                resolved++;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.UndefinedObject or PostgresErrorCodes.ObjectInUse or PostgresErrorCodes.ObjectNotInPrerequisiteState)
            {
                // Somebody else has just ended it, or is about to.
            }
        }

        return resolved;
    }

    /// <summary>True committed, false aborted, null when the deciding transaction is still in flight.</summary>
    private async Task<bool?> DecideAsync(Node decider, string gid, CancellationToken cancellationToken)
    {
        await using var connection = await connections.OpenAsync(decider, cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        try
        {
            // The insert waits for an uncommitted record of the same gid: then the coordinator lives. The decision must be durable here
            // before a part is ended elsewhere.
            await connection.RunAsync("SET LOCAL lock_timeout = '500ms'; SET LOCAL synchronous_commit = on", cancellationToken);
            await connection.ScalarAsync<int>(
                "INSERT INTO shardproxy.commit_record (gid, outcome) VALUES ($1, 'a') ON CONFLICT DO NOTHING RETURNING 1", cancellationToken, gid);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            return null;
        }

        return await connection.ScalarAsync<string>("SELECT outcome::text FROM shardproxy.commit_record WHERE gid = $1", cancellationToken, gid) switch
        {
            "c" => true,
            "a" => false,
            _ => null,
        };
    }

    /// <summary>
    /// Removes records of which no part is left on any node. Only old ones: a record may be there before its coordinator has told every
    /// node, never before every part was prepared; an aborted one has to outlive a coordinator that sleeps.
    /// </summary>
    private async Task PruneAsync(ImmutableArray<Node> nodes, HashSet<string> open, CancellationToken cancellationToken)
    {
        foreach (var node in nodes)
        {
            try
            {
                await using var connection = await connections.OpenAsync(node, cancellationToken);
                var old = await connection.RowsAsync(
                    "SELECT gid FROM shardproxy.commit_record WHERE recorded_at < clock_timestamp() - CASE outcome WHEN 'c' THEN interval '1 minute' ELSE interval '1 day' END LIMIT $1",
                    r => r.GetString(0),
                    cancellationToken,
                    BatchSize);
                var done = old.Where(g => !open.Contains(g)).ToArray();
                if (done.Length > 0)
                {
                    await connection.ScalarAsync<object>("DELETE FROM shardproxy.commit_record WHERE gid = ANY ($1)", cancellationToken, new object[] { done });
                }
            }
            catch (NpgsqlException)
            {
                // Pruned another time.
            }
        }
    }
}
