using System.Globalization;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// A SELECT whose answer is the rows of several nodes together, in no order: all of them work on it at once, and their rows go to the client one node after
/// another as they come.
/// </summary>
internal static class ScatterExecutor
{
    /// <summary>Runs the statement. Writes rows and tag, no ReadyForQuery; the RowDescription only when <paramref name="describesRows"/>.</summary>
    public static async ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var (plan, table) = (dispatch.Plan, dispatch.Table);
        if (plan.Tables.Any(t => t.Placement == TablePlacement.Sharded && table.Moves.Any(m => m.GroupId == t.GroupId)))
        {
            // Rows of a moving range lie on two nodes: gathering takes each from its owner.
            await GatherExecutor.RunAsync(session, plan.Otherwise!, table, shape, command, describesRows).ConfigureAwait(false);
            return;
        }

        var nodes = dispatch.Owners.Order().Select(table.Node).ToArray();
        var servers = new ServerConnection[nodes.Length];
        for (var i = 0; i < servers.Length; i++)
        {
            servers[i] = await SessionServers.GetAsync(session, nodes[i]).ConfigureAwait(false);
        }

        var reached = 0;
        var isDescribed = !describesRows;
        try
        {
            for (; reached < servers.Length; reached++)
            {
                if (command.Prepared is { } statement && servers[reached].Types is null && await StatementProvision.ProvideNowAsync(servers[reached], statement).ConfigureAwait(false) is { } refusal)
                {
                    session.Fail(refusal);
                    return;
                }
            }

            reached = 0;
            foreach (var server in servers)
            {
                command.Send(server);
            }

            await Task.WhenAll(servers.Select(s => s.Output.FlushAsync().AsTask())).ConfigureAwait(false);
            long rows = 0;
            byte[]? error = null;
            for (; reached < servers.Length; reached++)
            {
                var transfer = new RowTransfer(session, servers[reached], Describe);
                await transfer.RunAsync().ConfigureAwait(false);
                rows += transfer.Rows;
                if (transfer.Error is not null)
                {
                    error = transfer.Error;
                    break;
                }
            }

            if (error is not null)
            {
                await AbandonAsync(servers.AsMemory(reached + 1)).ConfigureAwait(false);
                if (command.Prepared is { } statement && CanonicalStatements.IsOutdated(ErrorFields.Read(error)))
                {
                    foreach (var server in servers.Where(s => s.Types is null))
                    {
                        await StatementProvision.WithdrawAsync(server, statement).ConfigureAwait(false);
                    }
                }

                session.Fail(error);
                return;
            }

            MessageWriter.CString(session.Output, BackendTag.CommandComplete, string.Create(CultureInfo.InvariantCulture, $"SELECT {rows}"));
        }
        catch (Exception e) when (ServerLoss.IsLoss(session, e))
        {
            var lost = Array.Find(servers, s => s.IsBroken) ?? servers[Math.Min(reached, servers.Length - 1)];
            ServerLoss.Report(session, lost, mayHaveWritten: false);
        }
        finally
        {
            foreach (var server in servers)
            {
                if (server.Owed.Count > 0)
                {
                    // It would go on sending rows that nobody wants.
                    server.MarkBroken();
                }
            }
        }

        void Describe(byte[] description)
        {
            if (!isDescribed)
            {
                MessageWriter.Raw(session.Output, BackendTag.RowDescription, description);
                isDescribed = true;
            }
        }
    }

    // The others' rows are read and dropped: in a block their connections are still needed.
    private static async ValueTask AbandonAsync(ReadOnlyMemory<ServerConnection> servers)
    {
        for (var i = 0; i < servers.Length; i++)
        {
            await CopyTransfer.RunAsync(servers.Span[i], null, 0, 0).ConfigureAwait(false);
        }
    }
}
