using System.Globalization;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Commits one transaction over its nodes (DESIGN section 7). All writers but one are prepared; the last, the deciding node, records the
/// commit in its own part of the transaction and commits it: that commit is the durable decision. Then the others commit what they
/// prepared. Recovery finds the decision by the transaction's identifier on the deciding node, so no clock and no log of the proxy
/// is needed. One writer alone needs none of this.
/// </summary>
internal static class TwoPhaseCommit
{
    private static readonly ShardProxyError RolledBack = new("40000", "SHP-401", "the transaction was rolled back by the server", "Retry the transaction.");

    private static long _lastTransaction;

    /// <summary>Commits; null on success. The servers are left idle, or broken where they were lost.</summary>
    public static async ValueTask<CommitFailure?> CommitAsync(Session session, ServerConnection[] participants)
    {
        var writers = participants.Where(p => p.HasWritten).ToArray();
        if (writers.Length <= 1)
        {
            var readers = participants.Except(writers).ToArray();
            foreach (var reader in await RunAllAsync(readers, "COMMIT").ConfigureAwait(false))
            {
                if (reader.Failure is not null)
                {
                    await RollbackAsync(writers).ConfigureAwait(false);
                    return reader.Failure;
                }
            }

            return writers.Length == 0 ? null : await CommitLastAsync(session, writers[0], "COMMIT").ConfigureAwait(false);
        }

        return await CommitWritersAsync(session, participants, writers).ConfigureAwait(false);
    }

    private static async ValueTask<CommitFailure?> CommitWritersAsync(Session session, ServerConnection[] participants, ServerConnection[] writers)
    {
        var deciding = writers.FirstOrDefault(w => w.Node.IsHome) ?? writers[^1];
        var prepared = writers.Where(w => w != deciding).ToArray();
        var gid = SqlIdentifier.Literal(string.Create(
            CultureInfo.InvariantCulture,
            $"shardproxy:{session.Services.Options.ProxyId}:{session.Services.BootId}.{session.ProcessId}:{Interlocked.Increment(ref _lastTransaction)}:{deciding.Node.Id}:{session.Services.Holder.Current.Epoch}"));
        var readers = participants.Except(writers).ToArray();
        var outcomes = await RunAllAsync(prepared, $"PREPARE TRANSACTION {gid}").ConfigureAwait(false);
        var failure = outcomes.FirstOrDefault(o => o.Failure is not null).Failure;
        failure ??= (await RunAllAsync(readers, "COMMIT").ConfigureAwait(false)).FirstOrDefault(o => o.Failure is not null).Failure;
        if (failure is not null)
        {
            session.Services.Counters.AddTwoPhaseAbort();

            // Nothing is decided, and nothing can be decided any more once the deciding part is rolled back.
            await RollbackAsync([deciding, .. readers]).ConfigureAwait(false);
            await RunAllAsync([.. outcomes.Where(o => o.Failure is null).Select(o => o.Server)], $"ROLLBACK PREPARED {gid}").ConfigureAwait(false);
            return failure;
        }

        failure = await CommitLastAsync(session, deciding, $"SELECT shardproxy.record_commit({gid}); COMMIT").ConfigureAwait(false);
        if (failure is { Error.SqlState: "08007" })
        {
            // Recovery decides by what the deciding node has recorded.
            session.Services.Counters.AddInDoubt();
            return failure;
        }

        var second = await RunAllAsync(prepared, $"{(failure is null ? "COMMIT" : "ROLLBACK")} PREPARED {gid}").ConfigureAwait(false);
        if (second.Any(o => o.Failure is not null))
        {
            // The decision is durable: recovery carries out what could not be carried out here.
            session.Services.Counters.AddInDoubt();
        }

        if (failure is null)
        {
            session.Services.Counters.AddTwoPhaseCommit();
        }
        else
        {
            session.Services.Counters.AddTwoPhaseAbort();
        }

        return failure;
    }

    // The commit that decides: when its answer is lost, its outcome is unknown.
    private static async ValueTask<CommitFailure?> CommitLastAsync(Session session, ServerConnection server, string sql)
    {
        try
        {
            var result = await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
            if (!result.IsOk)
            {
                if (server.Status != (byte)'I')
                {
                    await RollbackAsync([server]).ConfigureAwait(false);
                }

                return new CommitFailure(result.ErrorPayload, null);
            }

            return string.Equals(result.Tag, "COMMIT", StringComparison.Ordinal)
                ? null
                : new CommitFailure(null, RolledBack);
        }
        catch (EndOfStreamException)
        {
            server.MarkBroken();
            return new CommitFailure(null, PoolErrors.OutcomeUnknown(server.Node.Name));
        }
    }

    private static async ValueTask RollbackAsync(ServerConnection[] servers) => await RunAllAsync(servers, "ROLLBACK").ConfigureAwait(false);

    private static async Task<(ServerConnection Server, CommitFailure? Failure)[]> RunAllAsync(ServerConnection[] servers, string sql) =>
        servers.Length == 0 ? [] : await Task.WhenAll(servers.Select(s => RunOneAsync(s, sql))).ConfigureAwait(false);

    private static async Task<(ServerConnection Server, CommitFailure? Failure)> RunOneAsync(ServerConnection server, string sql)
    {
        try
        {
            var result = await SideDialog.RunAsync(server, sql).ConfigureAwait(false);

            // PREPARE TRANSACTION and COMMIT of a transaction that has failed succeed, as ROLLBACK.
            return (server, !result.IsOk
                ? new CommitFailure(result.ErrorPayload, null)
                : string.Equals(result.Tag, "ROLLBACK", StringComparison.Ordinal) && !sql.StartsWith("ROLLBACK", StringComparison.Ordinal)
                    ? new CommitFailure(null, RolledBack)
                    : null);
        }
        catch (EndOfStreamException)
        {
            return (server, new CommitFailure(null, PoolErrors.Lost(server.Node.Name)));
        }
    }
}
