using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Schema;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>
/// Keeps the group's tables as they are on both nodes from before the copy until the cutover is through: locks that readers and writers do not notice, and that DDL
/// waits for. A table rewritten, or another partition, would otherwise be seen by neither the copy nor the stream. DDL through the proxy waits in the proxy.
/// </summary>
internal sealed class TableHold : IAsyncDisposable
{
    // The last statement's portal stays open inside a transaction, and one of a query with it a snapshot that would keep vacuum from its work all the time.
    private const string Quiet = "SET LOCAL lock_timeout = 0";
    private readonly List<NpgsqlConnection> _sessions = [];

    /// <summary>Takes the locks, with patience and without making others queue, and looks once more whether the tables are alike: what came before them counts.</summary>
    /// <exception cref="ShardProxyException">SHP-508: a table was changed; SHP-510: a lock could not be had.</exception>
    /// <param name="context">The migration.</param>
    /// <param name="absent">Parts of tables that the target does not have for now, as <see cref="TableDrift"/> names them.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<TableHold> TakeAsync(MigrationContext context, IReadOnlySet<string> absent, CancellationToken cancellationToken)
    {
        var hold = new TableHold();
        try
        {
            foreach (var node in new[] { context.Source, context.Target })
            {
                var session = await context.Connections.OpenSessionAsync(node, context.Names.Session, cancellationToken);
                hold._sessions.Add(session);
                await context.WithinAsync(context.Options.TableLockDeadline, "lock a table", ct => LockAsync(context, session, ct), cancellationToken);
            }

            await hold.CompareAsync(context, absent, cancellationToken);
            await hold.CheckAsync(cancellationToken);
            return hold;
        }
        catch
        {
            await hold.DisposeAsync();
            throw;
        }
    }

    /// <summary>Fails when a lock may have been lost with its session.</summary>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var session in _sessions)
        {
            await session.RunAsync(Quiet, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions)
        {
            await session.DisposeAsync();
        }
    }

    // A partitioned table has no rows, and partitions come and go under the weaker of the two locks.
    private static async Task LockAsync(MigrationContext context, NpgsqlConnection session, CancellationToken cancellationToken)
    {
        var locks = context.Tables.Select(t => $"LOCK TABLE ONLY {t.Sql} IN ACCESS SHARE MODE").Concat(context.Partitioned.Select(t => $"LOCK TABLE ONLY {t} IN SHARE UPDATE EXCLUSIVE MODE"));
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await session.RunAsync($"BEGIN; SET LOCAL lock_timeout = {(int)context.Options.TableLockTry.TotalMilliseconds}; {string.Join("; ", locks)}", cancellationToken);
                return;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
            {
                await session.RunAsync("ROLLBACK", cancellationToken);
                await context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(500), cancellationToken);
            }
        }
    }

    private async Task CompareAsync(MigrationContext context, IReadOnlySet<string> absent, CancellationToken cancellationToken)
    {
        var names = context.Tables.Select(t => t.Table.Name).Concat(context.Partitioned).ToList();
        foreach (var name in names)
        {
            if (await TableDrift.CompareAsync(name, context.Source, _sessions[0], context.Target, _sessions[1], cancellationToken, absent) is [var first, ..])
            {
                throw new ShardProxyException(ControlErrors.TablesDiffer(name.ToString(), first, 0));
            }
        }

        foreach (var root in context.Partitioned)
        {
            var partitions = await Tables.TableInspector.PartitionsAsync(_sessions[0], root, cancellationToken);
            if (partitions.Find(p => !names.Contains(p)) is { Name: not null } unknown)
            {
                throw new ShardProxyException(ControlErrors.Preflight($"{unknown} has become a partition of {root} a moment ago", "Move again."));
            }
        }
    }
}
