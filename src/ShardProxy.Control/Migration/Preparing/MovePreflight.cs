using System.Globalization;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>
/// Everything about two nodes and a group's tables that would make a move fail, or stand still, later on: looked at before anything is put down anywhere. A refusal
/// says what is in the way and how to change it.
/// </summary>
internal sealed class MovePreflight(RoutingCatalog catalog, NodeConnections connections, NodeAdmin admin, MigrationOptions options)
{
    /// <summary>A copy takes somewhat more room than what it is a copy of: WAL, and pages filled otherwise.</summary>
    private const double RoomFactor = 1.3;

    private const int Tries = 3;

    private const string PlacesSql = """
        SELECT current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::int,
               current_setting('max_logical_replication_workers')::int - (SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL)::int,
               current_setting('max_worker_processes')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication %' OR backend_type LIKE 'parallel worker%')::int,
               current_setting('max_prepared_transactions')::int,
               current_setting('max_prepared_transactions')::int - (SELECT count(*) FROM pg_prepared_xacts)::int
        """;

    // Whoever has a transaction number keeps the slot from being made, in whatever database.
    private const string LongSql = """
        SELECT format('%s of process %s, %s old, %s', CASE WHEN datname = current_database() THEN 'a transaction' ELSE 'a transaction in another database' END,
                      pid, date_trunc('second', clock_timestamp() - xact_start), state), format('End it, or SELECT pg_terminate_backend(%s)', pid)
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - $1
        UNION ALL
        SELECT format('prepared transaction %s, %s old', gid, date_trunc('second', clock_timestamp() - prepared)), format('COMMIT or ROLLBACK PREPARED %L in database %I', gid, database)
        FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - $1
        LIMIT 1
        """;

    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(100);

    /// <summary>Looks at all of it, as of now. What could not be looked at is told: the notice of the move.</summary>
    /// <exception cref="ShardProxyException">SHP-508.</exception>
    public async Task<string?> CheckAsync(int rangeId, string nodeName, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await LookAsync(rangeId, nodeName, cancellationToken);
            }
            catch (NpgsqlException e) when (attempt < Tries && (e.IsTransient || e.SqlState == PostgresErrorCodes.AdminShutdown))
            {
                // A server that has been restarted since: connections that were kept are found dead when they are used.
                await Task.Delay(TryAgainAfter, connections.Time, cancellationToken);
            }
            catch (NpgsqlException e)
            {
                throw Unseen(e);
            }
        }

        static ShardProxyException Unseen(NpgsqlException e)
        {
            var reason = e is PostgresException p ? $"{p.SqlState}: {p.MessageText}" : e.Message;
            return new ShardProxyException(ControlErrors.Preflight($"the nodes of the move cannot be looked at: {reason}", "Look at SHOW NODES and the servers' logs, then move again."), e);
        }
    }

    private async Task<string?> LookAsync(int rangeId, string nodeName, CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        if (state.FindRange(rangeId) is not { } range || state.Nodes.FirstOrDefault(n => n.Name == nodeName) is not { } target || range.NodeId == target.Id)
        {
            // The move itself has the words for it.
            return null;
        }

        var source = state.Nodes.Single(n => n.Id == range.NodeId);
        await CheckNodesAsync(connections, admin, source, target, options, cancellationToken);
        await using var from = await connections.OpenAsync(source, cancellationToken);
        await using var to = await connections.OpenAsync(target, cancellationToken);
        var group = state.Groups.Single(g => g.Id == range.GroupId);
        var tables = state.Tables.Where(t => t.GroupId == group.Id && !t.IsPartitioned).Select(t => new MigrationTable(t, range, group)).ToList();
        foreach (var table in tables)
        {
            await TableSurvey.TakeAsync(table, source, from, target, to, options, cancellationToken);
        }

        await CheckReachAsync(source, target, to, cancellationToken);
        var share = (double)((Int128)(range.To ?? long.MaxValue) - range.From) / group.Ranges.Where(r => r.NodeId == source.Id).Sum(r => (double)((Int128)(r.To ?? long.MaxValue) - r.From));
        return await CheckRoomAsync(tables, share, from, target, to, cancellationToken);
    }

    /// <summary>Settings, free places of all kinds, and old transactions.</summary>
    public static async Task CheckNodesAsync(
        NodeConnections connections, NodeAdmin admin, Node source, Node target, MigrationOptions options, CancellationToken cancellationToken)
    {
        foreach (var node in new[] { source, target })
        {
            await admin.PreflightAsync(node, cancellationToken);
            await using var connection = await connections.OpenAsync(node, cancellationToken);
            var (senders, subscribers, workers, prepared, unprepared) = (await connection.RowsAsync(
                PlacesSql, r => (r.GetInt32(0), r.GetInt32(1), r.GetInt32(2), r.GetInt32(3), r.GetInt32(4)), cancellationToken)).Single();

            // The stream, and on the source the snapshot beside it; the other way round after the cutover.
            var needed = node == source ? 2 : 1;
            Demand(senders >= needed, node, $"has {senders} free of {needed} needed walsenders", "Raise max_wal_senders and restart the server, or end what replicates from it.");
            Demand(subscribers >= 1, node, "has no free logical replication worker", "Raise max_logical_replication_workers and restart the server, or drop subscriptions there.");
            Demand(workers >= 1, node, "has no free worker process for a subscription", "Raise max_worker_processes above max_logical_replication_workers and restart the server.");
            Demand(
                prepared > 0,
                node,
                "has max_prepared_transactions = 0, so a write over several nodes would be refused there",
                "Set it to max_connections or more, and restart the server.");
            Demand(
                unprepared > 0,
                node,
                "has no free place for a prepared transaction",
                "Raise max_prepared_transactions and restart the server, or end those that pg_prepared_xacts lists.");
        }

        await using var owner = await connections.OpenAsync(source, cancellationToken);
        var old = await owner.RowsAsync(LongSql, r => (What: r.GetString(0), How: r.GetString(1)), cancellationToken, options.OldestTransactionAtStart);
        if (old is [var first, ..])
        {
            throw new ShardProxyException(ControlErrors.Preflight($"node {source.Name} has {first.What}, whose end the copy would have to wait for", $"{first.How}; then move again."));
        }
    }

    /// <summary>The target subscribes to the source: it has to get there by the address the catalog has, and log in.</summary>
    private async Task CheckReachAsync(Node source, Node target, NpgsqlConnection to, CancellationToken cancellationToken)
    {
        await using var transaction = await to.BeginTransactionAsync(cancellationToken);
        var name = $"shardproxy_probe_{to.ProcessID.ToString(CultureInfo.InvariantCulture)}";
        try
        {
            // Connects at once, says whether it could, and is never committed.
            await to.RunAsync(
                $"SET LOCAL client_min_messages = error; CREATE SUBSCRIPTION {name} CONNECTION {SqlIdentifier.Literal(connections.SubscriptionString(source) + " connect_timeout=10")} PUBLICATION {name} "
                + "WITH (connect = true, create_slot = false, slot_name = NONE, enabled = false, copy_data = false)",
                cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.ConnectionFailure or PostgresErrorCodes.SqlClientUnableToEstablishSqlConnection or PostgresErrorCodes.ConnectionException)
        {
            throw new ShardProxyException(
                ControlErrors.Preflight(
                    $"node {target.Name} cannot subscribe to node {source.Name} at {source.Host}:{source.Port}: {e.MessageText}",
                    $"Let the server of {target.Name} reach that address and log in there for replication too: firewall, pg_hba.conf, name resolution."),
                e);
        }

        await transaction.RollbackAsync(cancellationToken);
    }

    // SQL has no word for free space; a superuser may ask the system. A node that has none to ask is told about, not guessed.
    private async Task<string?> CheckRoomAsync(
        List<MigrationTable> tables, double share, NpgsqlConnection from, Node target, NpgsqlConnection to, CancellationToken cancellationToken)
    {
        var unknown = $"the free disk space of node {target.Name} is not known and was not checked";
        if (!options.ChecksDiskSpace)
        {
            return unknown;
        }

        var bytes = await from.ScalarAsync<long>(
            "SELECT coalesce(sum(pg_total_relation_size(t::regclass)), 0)::bigint FROM unnest($1::text[]) t", cancellationToken, (object)tables.Select(t => t.Sql).ToArray());
        long free;
        try
        {
            await using var transaction = await to.BeginTransactionAsync(cancellationToken);
            var directory = await to.ScalarAsync<string>(
                "SELECT CASE WHEN dattablespace = 1663 THEN 'base' ELSE 'pg_tblspc/' || dattablespace END FROM pg_database WHERE datname = current_database()", cancellationToken);
            await to.RunAsync($"CREATE TEMP TABLE shardproxy_df (line text) ON COMMIT DROP; COPY shardproxy_df FROM PROGRAM 'df -Pk {directory}'", cancellationToken);
            free = await to.ScalarAsync<long>(
                @"SELECT coalesce(max((regexp_match(line, '\s(\d+)\s+\d+%\s'))[1]::bigint), -1) * 1024 FROM shardproxy_df", cancellationToken);
            await transaction.RollbackAsync(cancellationToken);
        }
        catch (PostgresException)
        {
            return unknown;
        }

        var needed = (long)(bytes * share * RoomFactor);
        if (free >= 0)
        {
            Demand(
                needed <= free,
                target,
                string.Create(CultureInfo.InvariantCulture, $"has {free >> 20} MB of disk free, and the range needs about {needed >> 20} MB"),
                "Make room there, or split the range and move a part of it.");
        }

        return free < 0 ? unknown : null;
    }

    private static void Demand(bool isMet, Node node, string problem, string hint)
    {
        if (!isMet)
        {
            throw new ShardProxyException(ControlErrors.Preflight($"node {node.Name} {problem}", hint));
        }
    }
}
