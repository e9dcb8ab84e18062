using Npgsql;
using Npgsql.Replication;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>
/// The slot and the snapshot that begins exactly where the slot's changes end. While it lives, ACCESS SHARE on every table of the group and an
/// older snapshot are held on the source, taken *before* the slot was made: a table rewritten or pruned in between would lose rows to the
/// snapshot.
/// </summary>
internal sealed class SnapshotHolder : IAsyncDisposable
{
    private readonly NpgsqlConnection _locks;
    private readonly LogicalReplicationConnection _replication;

    private SnapshotHolder(NpgsqlConnection locks, LogicalReplicationConnection replication, string snapshot)
    {
        _locks = locks;
        _replication = replication;
        Snapshot = snapshot;
    }

    /// <summary>For SET TRANSACTION SNAPSHOT; valid until this is disposed.</summary>
    public string Snapshot { get; }

    /// <summary>Publication, then slot, then snapshot. The objects are in the journal already.</summary>
    public static async Task<SnapshotHolder> CreateAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var stream = context.Names.Stream;
        var locks = await context.Connections.OpenSessionAsync(context.Source, context.Names.Session, cancellationToken);
        try
        {
            await ApplyStream.PublishAsync(context, locks, stream, cancellationToken);
            await locks.RunAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancellationToken);
            await locks.RunAsync($"LOCK TABLE {string.Join(", ", context.Tables.Select(t => "ONLY " + t.Sql))} IN ACCESS SHARE MODE", cancellationToken);

            // The exported snapshot alone does not keep its row versions: when the command that makes the slot ends, PostgreSQL first drops the slot's own
            // hold on them and only then counts the session's, which while it decodes is left out of the horizon. What is pruned in between
            // is missing in the copy. An older snapshot, of an ordinary session, holds the horizon over that moment.
            await locks.RunAsync("SELECT 1 FROM pg_catalog.pg_class LIMIT 1", cancellationToken);
            var replication = await context.Connections.OpenReplicationAsync(context.Source, cancellationToken);
            try
            {
                var slot = await replication.CreatePgOutputReplicationSlot(
                    stream, slotSnapshotInitMode: LogicalSlotSnapshotInitMode.Export, cancellationToken: cancellationToken);
                return new SnapshotHolder(locks, replication, slot.SnapshotName!);
            }
            catch
            {
                await replication.DisposeAsync();
                throw;
            }
        }
        catch
        {
            await locks.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _replication.DisposeAsync();
        await _locks.DisposeAsync();
    }
}
