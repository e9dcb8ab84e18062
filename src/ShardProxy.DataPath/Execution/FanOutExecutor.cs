using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Runs one statement on every node: writes to replicated tables and DDL inside a block (opened here, and committed in two phases, when
/// the client has none open), VACUUM and the like outside one. The home node goes first, so that locks are taken in one order
/// everywhere, and its reply is the client's.
/// </summary>
internal static class FanOutExecutor
{
    /// <summary>
    /// Runs a statement. Writes its reply, no ReadyForQuery, and a RowDescription only when <paramref name="describesRows"/>.
    /// </summary>
    public static async ValueTask RunAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand sql, bool describesRows)
    {
        try
        {
            await RunPlanAsync(session, plan, table, shape, sql, describesRows).ConfigureAwait(false);
        }
        finally
        {
            session.Services.Sequences.Follow(shape);
        }
    }

    private static async ValueTask RunPlanAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand sql, bool describesRows)
    {
        if (plan.Kind == RouteKind.BroadcastOutside)
        {
            await OutsideExecutor.RunAsync(session, plan, table, shape, sql).ConfigureAwait(false);
            return;
        }

        if ((shape.Kind == StatementKind.Lock || shape.DefersConstraints is not null) && session.Transaction.State == BlockState.Idle)
        {
            // Outside a block it would be over at once: PostgreSQL refuses or warns, and the home node has the words.
            await RunAsItIsAsync(session, plan, table, shape, sql).ConfigureAwait(false);
            return;
        }

        await InBlockAsync(session, plan, async () =>
        {
            if (plan.Kind == RouteKind.ReplicatedWrite)
            {
                if (await session.Services.ReplicatedWrites.PrepareAsync(session, plan, table, shape, sql).ConfigureAwait(false) is not { } prepared)
                {
                    return null;
                }

                sql = prepared;
            }

            var home = await HomeAsync(session, table, sql, describesRows).ConfigureAwait(false);
            if (home is null || (plan.ChangesSchema && !await SchemaGuard.CheckAsync(session, plan, table, shape).ConfigureAwait(false)))
            {
                return null;
            }

            if ((!plan.IsHomeOnly && !await OthersAsync(session, plan, table, shape, sql, home).ConfigureAwait(false)) || !await RolePasswords.SpreadAsync(session, table, shape).ConfigureAwait(false))
            {
                return null;
            }

            NoteDdl(session, shape);
            UnseenCode.NotePartition(session, shape);
            return home;
        }).ConfigureAwait(false);
    }

    /// <summary>
    /// Runs an action in the client's block, or in a block of its own that is committed when the action succeeds. The action returns
    /// the command tag, or null after it has written an error.
    /// </summary>
    public static async ValueTask InBlockAsync(Session session, RoutePlan plan, Func<ValueTask<string?>> action)
    {
        var transaction = session.Transaction;
        var isImplicit = transaction.State == BlockState.Idle;
        if (isImplicit)
        {
            transaction.Begin(session.Settings, null, isImplicit: true);
        }

        transaction.ChangesSchema |= plan.ChangesSchema;
        string? tag;
        try
        {
            tag = await action().ConfigureAwait(false);
        }
        catch when (isImplicit)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
            throw;
        }

        if (!isImplicit)
        {
            if (tag is not null)
            {
                if (plan.ChangesSchema)
                {
                    await Types.BlockTypes.LearnAsync(session).ConfigureAwait(false);
                }

                MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
            }

            return;
        }

        if (tag is null)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
        }
        else if (await TransactionExecutor.CommitBlockAsync(session).ConfigureAwait(false))
        {
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
        }
    }

    // The home node's rows (RETURNING) and notices go to the client; its tag is withheld until all nodes agree.
    private static async ValueTask<string?> HomeAsync(Session session, RoutingTable table, NodeCommand sql, bool describesRows)
    {
        var server = await SessionServers.GetAsync(session, table.HomeNode).ConfigureAwait(false);
        server.HasWritten = true;
        var result = await RunOnAsync(session, server, sql).ConfigureAwait(false);
        if (result is null)
        {
            return null;
        }

        result.WriteNotices(session.Output);
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
            return null;
        }

        if (result.IsTruncated)
        {
            session.Fail(ExecutionErrors.TooManyRows);
            return null;
        }

        if (result.RowDescription is not null)
        {
            if (describesRows)
            {
                MessageWriter.Raw(session.Output, BackendTag.RowDescription, result.RowDescription);
            }

            foreach (var row in result.Rows)
            {
                RowWriter.Write(session.Output, row);
            }
        }

        return result.Tag;
    }

    private static async ValueTask<bool> OthersAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand sql, string homeTag)
    {
        var text = plan.OtherNodesSql is null ? sql : new NodeCommand(Encoding.UTF8.GetBytes(plan.OtherNodesSql), null);
        var servers = new List<ServerConnection>();
        foreach (var node in table.Nodes.Where(n => !n.IsHome).OrderBy(n => n.Id))
        {
            var server = await SessionServers.GetAsync(session, node).ConfigureAwait(false);
            server.HasWritten = true;
            servers.Add(server);
        }

        var outcomes = await Task.WhenAll(servers.Select(s => RunOnOtherAsync(session, plan, shape, s, text))).ConfigureAwait(false);
        var isTold = false;
        for (var i = 0; i < outcomes.Length; i++)
        {
            if (outcomes[i] is not { Result: var result, Lacks: var lacks })
            {
                return false;
            }

            if (!result.IsOk)
            {
                session.Fail(plan.Kind == RouteKind.ReplicatedWrite ? result.ErrorPayload! : ErrorFields.WithContext(result.ErrorPayload, $"on node \"{servers[i].Node.Name}\"; no node has done it"));
                return false;
            }

            if (plan.Kind == RouteKind.ReplicatedWrite && !string.Equals(result.Tag, homeTag, StringComparison.Ordinal))
            {
                session.Fail(ExecutionErrors.ReplicasDiffer(servers[i].Node.Name));
                return false;
            }

            if (lacks is not null && !isTold)
            {
                SharedDdlRunner.Notice(session, shape.Utility!, servers[i].Node, lacks);
                isTold = true;
            }
        }

        return true;
    }

    private static async Task<SharedDdlOutcome?> RunOnOtherAsync(Session session, RoutePlan plan, StatementShape shape, ServerConnection server, NodeCommand sql)
    {
        try
        {
            return plan.IsShared
                ? await SharedDdlRunner.RunAsync(server, sql, shape.Utility!, isInTransaction: true).ConfigureAwait(false)
                : new SharedDdlOutcome(await SideDialog.RunAsync(server, sql).ConfigureAwait(false), null);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return null;
        }
    }

    private static async ValueTask<DialogResult?> RunOnAsync(Session session, ServerConnection server, NodeCommand sql)
    {
        try
        {
            return await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return null;
        }
    }

    /// <summary>Runs a statement on all nodes in whatever transaction is open: what the home node refuses goes no further, what it does not is done by all.</summary>
    public static async ValueTask RunAsItIsAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand sql)
    {
        if (await HomeAsync(session, table, sql, describesRows: false).ConfigureAwait(false) is { } tag
            && await OthersAsync(session, plan, table, shape, sql, tag).ConfigureAwait(false))
        {
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
        }
    }

    // What is known about the meaning of statements and names may not hold any more.
    private static void NoteDdl(Session session, StatementShape shape)
    {
        if (shape.Kind == StatementKind.OtherDdl)
        {
            session.Services.SearchPath.NoteDdl(session.Identity.User, shape);
        }

        if (CanonicalStatements.MayChangeMeaning(shape.Kind))
        {
            session.Services.Canonical.Forget();
            session.ChangesMeaning = session.Transaction.State != BlockState.Idle;
        }
    }
}
