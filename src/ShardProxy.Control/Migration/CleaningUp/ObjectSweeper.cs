using Npgsql;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.CleaningUp;

/// <summary>
/// Removes what the journal lists, in the order that keeps clients safe: the stream first (deletes would replicate), then ghosts behind a
/// closed gate, then the gates. Everything is "if it exists": run it as often as it takes.
/// </summary>
internal static class ObjectSweeper
{
    public static async Task SweepAsync(MigrationContext context, bool isThrottled, CancellationToken cancellationToken)
    {
        await EndSessionsAsync(context, context.Source, cancellationToken);
        await EndSessionsAsync(context, context.Target, cancellationToken);
        await DropStreamsAsync(context, _ => true, cancellationToken);
        await ForEachAsync(MigrationObjectKind.GhostRows, o => CleanGhostsAsync(context, o, isThrottled, cancellationToken));
        await DeferredIndexes.MakeAsync(context, cancellationToken);
        await context.Journal.WriteAsync(r => r with { Objects = r.Objects.RemoveAll(IsStreamOrGhosts), UpdatedAt = context.Time.GetUtcNow() }, cancellationToken);
        await Task.WhenAll(Objects(context, MigrationObjectKind.GateTriggers).GroupBy(o => o.NodeId).Select(DropTriggersAsync));
        await ForEachAsync(MigrationObjectKind.GateSequence, o => RunAsync(context, o, $"DROP SEQUENCE IF EXISTS {o.Name}", cancellationToken));
        await ForEachAsync(
            MigrationObjectKind.Markers, o => RunAsync(context, o, $"DELETE FROM shardproxy.marker WHERE migration_id = {context.Id}", cancellationToken));

        async Task ForEachAsync(MigrationObjectKind kind, Func<MigrationObject, Task> remove)
        {
            foreach (var item in Objects(context, kind))
            {
                await remove(item);
            }
        }

        async Task DropTriggersAsync(IEnumerable<MigrationObject> objects)
        {
            foreach (var o in objects)
            {
                await RangeGate.DropTriggersAsync(context, context.NodeOf(o.NodeId), o.Name, o.Detail, cancellationToken);
            }
        }
    }

    /// <summary>The stream from the source to the target, when it is not needed any more; its objects leave the journal with it.</summary>
    public static async Task DropForwardStreamAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        await DropStreamsAsync(context, IsForward, cancellationToken);
        await context.Journal.WriteAsync(r => r with { Objects = r.Objects.RemoveAll(o => IsForward(o) && IsStream(o)) }, cancellationToken);

        bool IsForward(MigrationObject o) => o.Name == context.Names.Stream;
    }

    /// <summary>Subscriptions before their slots, and slots before their publications.</summary>
    private static async Task DropStreamsAsync(MigrationContext context, Func<MigrationObject, bool> which, CancellationToken cancellationToken)
    {
        foreach (var o in Objects(context, MigrationObjectKind.Subscription).Where(which))
        {
            await DropSubscriptionAsync(context, o, cancellationToken);
        }

        foreach (var o in Objects(context, MigrationObjectKind.ReplicationSlot).Where(which))
        {
            await DropSlotAsync(context, o, cancellationToken);
        }

        foreach (var o in Objects(context, MigrationObjectKind.Publication).Where(which))
        {
            await RunAsync(context, o, $"DROP PUBLICATION IF EXISTS {o.Name}", cancellationToken);
        }
    }

    private static bool IsStream(MigrationObject o) => o.Kind is MigrationObjectKind.Subscription or MigrationObjectKind.ReplicationSlot or MigrationObjectKind.Publication;

    private static bool IsStreamOrGhosts(MigrationObject o) => IsStream(o) || o.Kind == MigrationObjectKind.GhostRows;

    private static List<MigrationObject> Objects(MigrationContext context, MigrationObjectKind kind) =>
        [.. context.Journal.Record.Objects.Where(o => o.Kind == kind)];

    /// <summary>Sessions of a predecessor that sleeps: it would hold its locks, and write its rows when it wakes.</summary>
    private static async Task EndSessionsAsync(MigrationContext context, Node node, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        await connection.ScalarAsync<object>(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()",
            cancellationToken,
            context.Names.Session);
    }

    private static async Task RunAsync(MigrationContext context, MigrationObject item, string sql, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(context.NodeOf(item.NodeId), cancellationToken);
        await connection.RunAsync("SET client_min_messages = warning", cancellationToken);
        await connection.RunAsync(sql, cancellationToken);
    }

    private static async Task DropSubscriptionAsync(MigrationContext context, MigrationObject item, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(context.NodeOf(item.NodeId), cancellationToken);
        if (!await connection.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_subscription s WHERE s.subname = $1)", cancellationToken, item.Name))
        {
            return;
        }

        // Without its slot, so that the publisher need not be reachable; the slot is an object of its own.
        await connection.RunAsync($"ALTER SUBSCRIPTION {item.Name} DISABLE", cancellationToken);
        await connection.RunAsync($"ALTER SUBSCRIPTION {item.Name} SET (slot_name = NONE)", cancellationToken);
        await connection.RunAsync($"DROP SUBSCRIPTION {item.Name}", cancellationToken);
    }

    private static async Task DropSlotAsync(MigrationContext context, MigrationObject item, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(context.NodeOf(item.NodeId), cancellationToken);
        while (await connection.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", cancellationToken, item.Name))
        {
            try
            {
                // The walsender notices its subscriber's end a little later.
                await connection.ScalarAsync<bool>(
                    "SELECT bool_or(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL", cancellationToken, item.Name);
                await connection.ScalarAsync<object>("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", cancellationToken, item.Name);
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.ObjectInUse or PostgresErrorCodes.UndefinedObject)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(5), context.Time, cancellationToken);
            }
        }
    }

    private static async Task CleanGhostsAsync(MigrationContext context, MigrationObject item, bool isThrottled, CancellationToken cancellationToken)
    {
        var node = context.NodeOf(item.NodeId);
        var owner = (await context.Catalog.LoadAsync(cancellationToken)).FindRange(context.RangeId)?.NodeId;
        if (owner == item.NodeId)
        {
            throw new ShardProxyException(ControlErrors.Preflight(
                $"node {node.Name} owns range {context.RangeId}, whose rows there were to be cleaned up", "This is a bug in ShardProxy; nothing was deleted."));
        }

        if (context.Options.ArchiveDirectory is { } archive && context.Journal.Record.HasArrived)
        {
            await GhostArchive.WriteAsync(context, node, archive, cancellationToken);
        }

        var cleaner = new GhostCleaner(context, node);
        await cleaner.PermitAsync(cancellationToken);
        await cleaner.CleanAsync(isThrottled, cancellationToken);
    }
}
