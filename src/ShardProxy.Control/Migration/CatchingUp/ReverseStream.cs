using ShardProxy.Control.Migration.CleaningUp;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.CatchingUp;

/// <summary>
/// The way back (DESIGN section 6, f and 8): publication and slot on the target and a disabled subscription on the source, made while there is time, because a slot waits
/// for every open transaction; after the cutover it begins exactly behind what the source sent itself.
/// </summary>
internal static class ReverseStream
{
    /// <summary>Makes the three. They are in the journal already.</summary>
    public static async Task PrepareAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var stream = context.Names.ReverseStream;
        await using (var target = await context.Connections.OpenAsync(context.Target, cancellationToken))
        {
            await ApplyStream.PublishAsync(context, target, stream, cancellationToken);
            await target.ScalarAsync<object>("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')::text", cancellationToken, stream);
        }

        await ApplyStream.SubscribeAsync(context, context.Target, context.Source, stream, isEnabled: false, cancellationToken);
    }

    /// <summary>
    /// Ends the way there and starts the way back. The target owns the range, its gate may be open: what was written since lies behind <paramref name="targetLsn"/>.
    /// </summary>
    /// <param name="context">The migration, forward.</param>
    /// <param name="targetLsn">Position on the target behind which nothing of the range came from the source.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task StartAsync(MigrationContext context, string targetLsn, CancellationToken cancellationToken)
    {
        await ObjectSweeper.DropForwardStreamAsync(context, cancellationToken);
        var stream = context.Names.ReverseStream;
        await using var source = await context.Connections.OpenAsync(context.Source, cancellationToken);

        // Before it the target's WAL holds the rows that came from the source: sent back, they would meet themselves.
        await source.ScalarAsync<object>(
            "SELECT pg_catalog.pg_replication_origin_advance('pg_' || oid, $2::pg_lsn)::text FROM pg_catalog.pg_subscription WHERE subname = $1", cancellationToken, stream, targetLsn);
        await source.RunAsync($"ALTER SUBSCRIPTION {stream} ENABLE", cancellationToken);
    }

    /// <summary>Why the way back cannot be kept open any longer, or null.</summary>
    public static async Task<string?> FaultAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var stream = context.Names.ReverseStream;
        await using var target = await context.Connections.OpenAsync(context.Target, cancellationToken);
        var retained = await target.ScalarAsync<long?>(
            "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND wal_status <> 'lost'",
            cancellationToken,
            stream);
        if (retained is null || retained > context.Options.RollbackMaximumWal)
        {
            return retained is null ? "its slot is gone" : "its slot holds back too much WAL";
        }

        await using var source = await context.Connections.OpenAsync(context.Source, cancellationToken);
        return await source.ScalarAsync<bool>(
            "SELECT coalesce((SELECT t.apply_error_count > 0 FROM pg_catalog.pg_stat_subscription_stats t WHERE t.subname = $1), false)", cancellationToken, stream)
            ? "a change of the target could not be applied on the source"
            : null;
    }
}
