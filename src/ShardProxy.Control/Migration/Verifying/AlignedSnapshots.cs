using Npgsql;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Migration.Verifying;

/// <summary>
/// One snapshot on each side that show the range at exactly the same logical moment, while writes go on. So the comparison needs no second
/// tries and no row locks: any difference is real.
/// </summary>
/// <remarks>
/// On the source the gate's exclusive lock waits out the writers of the range and keeps new ones out for the few milliseconds in which a
/// snapshot is taken and a marker is written. On the target the same marker is inserted first by us and not committed: the apply worker,
/// having applied everything before the marker, runs into that row and stops, which is seen in pg_locks. Then the target's snapshot is
/// taken, and our insert rolled back lets the worker go on.
/// </remarks>
internal sealed class AlignedSnapshots : IAsyncDisposable
{
    private const string Begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

    private AlignedSnapshots(NpgsqlConnection source, NpgsqlConnection target)
    {
        Source = source;
        Target = target;
    }

    /// <summary>In a read-only transaction on its snapshot, with text output pinned.</summary>
    public NpgsqlConnection Source { get; }

    public NpgsqlConnection Target { get; }

    public static async Task<AlignedSnapshots> TakeAsync(MigrationContext context, Markers markers, CancellationToken cancellationToken)
    {
        var source = await context.Connections.OpenAsync(context.From, cancellationToken);
        var target = await context.Connections.OpenAsync(context.To, cancellationToken);
        try
        {
            for (var attempt = 0; ; attempt++)
            {
                // Nearly caught up first: the worker reaches the marker within milliseconds then.
                await markers.RoundTripAsync(cancellationToken);
                if (await TryTakeAsync(context, source, target, cancellationToken))
                {
                    await source.RunAsync(RowChecksum.Pins, cancellationToken);
                    await target.RunAsync(RowChecksum.Pins, cancellationToken);
                    return new AlignedSnapshots(source, target);
                }

                await context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(250), cancellationToken);
            }
        }
        catch
        {
            await source.DisposeAsync();
            await target.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        await Target.DisposeAsync();
    }

    private static async Task<bool> TryTakeAsync(MigrationContext context, NpgsqlConnection source, NpgsqlConnection target, CancellationToken cancellationToken)
    {
        var seq = context.NextMarker();
        var insert = $"INSERT INTO shardproxy.marker (migration_id, seq) VALUES ({context.Id}, {seq})";
        await using var stop = await context.Connections.OpenAsync(context.To, cancellationToken);
        await stop.RunAsync("BEGIN", cancellationToken);
        await stop.RunAsync(insert, cancellationToken);
        var xid = await stop.ScalarAsync<string>("SELECT pg_current_xact_id()::xid::text", cancellationToken);

        await source.RunAsync(Begin, cancellationToken);
        await using (var gate = await context.Connections.OpenAsync(context.From, cancellationToken))
        {
            await gate.RunAsync("BEGIN", cancellationToken);
            await gate.RunAsync($"SET LOCAL lock_timeout = {(int)context.Options.OldestTransaction.TotalMilliseconds}", cancellationToken);
            try
            {
                await gate.RunAsync(RangeGate.LockSql(context.RangeId), cancellationToken);
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
            {
                await gate.RunAsync("ROLLBACK", cancellationToken);
                await source.RunAsync("ROLLBACK", cancellationToken);
                await stop.RunAsync("ROLLBACK", cancellationToken);
                return false;
            }

            await source.RunAsync("SELECT 1 FROM pg_catalog.pg_class LIMIT 1", cancellationToken);
            await gate.RunAsync(insert, cancellationToken);
            await gate.RunAsync("COMMIT", cancellationToken);
        }

        await target.RunAsync(Begin, cancellationToken);
        await WaitForWorkerAsync(context, stop, xid!, cancellationToken);
        await target.RunAsync("SELECT 1 FROM pg_catalog.pg_class LIMIT 1", cancellationToken);
        await stop.RunAsync("ROLLBACK", cancellationToken);
        return true;
    }

    private static async Task WaitForWorkerAsync(MigrationContext context, NpgsqlConnection connection, string xid, CancellationToken cancellationToken)
    {
        var sql = $"""
            SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_subscription s ON s.pid = l.pid
                           WHERE s.subname = '{context.StreamName}' AND l.locktype = 'transactionid' AND NOT l.granted AND l.transactionid = '{xid}'::xid)
            """;
        while (!await connection.ScalarAsync<bool>(sql, cancellationToken))
        {
            await Task.Delay(context.Options.MarkerPoll, context.Time, cancellationToken);
        }
    }
}
