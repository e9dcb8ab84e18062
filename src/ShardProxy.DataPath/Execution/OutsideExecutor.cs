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
/// Statements that PostgreSQL does not run in a transaction block (VACUUM, CREATE INDEX CONCURRENTLY, REINDEX CONCURRENTLY …): on one node after another,
/// the home node first. If one fails, the error's context says which nodes have done it and which were not asked. An index that CREATE INDEX CONCURRENTLY
/// has made on the nodes before is dropped again, so that the statement can simply be repeated.
/// </summary>
internal static class OutsideExecutor
{
    public static async ValueTask RunAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand sql)
    {
        if (session.Transaction.State != BlockState.Idle)
        {
            // PostgreSQL's own refusal, or ANALYZE, which may stand in a block: the home node says which.
            await FanOutExecutor.RunAsItIsAsync(session, plan, table, shape, sql).ConfigureAwait(false);
            return;
        }

        var others = plan.OtherNodesSql is null ? sql : new NodeCommand(Encoding.UTF8.GetBytes(plan.OtherNodesSql), null);
        var nodes = table.Nodes.OrderByDescending(n => n.IsHome).ThenBy(n => n.Id).ToList();
        string? tag = null;
        for (var i = 0; i < nodes.Count; i++)
        {
            var server = await SessionServers.GetAsync(session, nodes[i]).ConfigureAwait(false);
            DialogResult result;
            try
            {
                result = plan.IsShared && i > 0
                    ? (await SharedDdlRunner.RunAsync(server, others, shape.Utility!, isInTransaction: false).ConfigureAwait(false)).Result
                    : await SideDialog.RunAsync(server, i == 0 ? sql : others).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Report(session, server, mayHaveWritten: i > 0);
                return;
            }

            if (!result.IsOk)
            {
                var isUndone = i > 0 && await TakeIndexBackAsync(session, shape, nodes[..(i + 1)]).ConfigureAwait(false);
                var done = i == 0 || isUndone ? "no other node has done it" : $"done on {Names(nodes[..i])}, not asked: {Names(nodes[(i + 1)..])}";
                session.Fail(ErrorFields.WithContext(result.ErrorPayload, $"on node \"{nodes[i].Name}\"; {done}"));
                return;
            }

            if (tag is null)
            {
                result.WriteNotices(session.Output);
                tag = result.Tag;
            }
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag!);
        if (plan.ChangesSchema)
        {
            await session.Services.SchemaObserver.SchemaChangedAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static string Names(IReadOnlyCollection<Node> nodes) => nodes.Count == 0 ? "none" : string.Join(", ", nodes.Select(n => n.Name));

    // Not with IF NOT EXISTS: it may have been there before. On the node that failed only an invalid index is this statement's.
    private static async ValueTask<bool> TakeIndexBackAsync(Session session, StatementShape shape, List<Node> nodes)
    {
        if (shape is not { Kind: StatementKind.CreateIndex, Utility: { IfExists: false, Names: [{ } index] } })
        {
            return false;
        }

        var schema = index.Schema ?? (shape.Relations.FirstOrDefault() is { Schema: { } named } ? named : null);
        var name = schema is null ? SqlIdentifier.Quote(index.Name) : $"{SqlIdentifier.Quote(schema)}.{SqlIdentifier.Quote(index.Name)}";
        for (var i = 0; i < nodes.Count; i++)
        {
            var server = await SessionServers.GetAsync(session, nodes[i]).ConfigureAwait(false);
            var invalid = $"SELECT FROM pg_catalog.pg_index WHERE NOT indisvalid AND indexrelid = pg_catalog.to_regclass({SqlIdentifier.Literal(name)})";
            if (i == nodes.Count - 1 && await SideDialog.OrLostAsync(SideDialog.RunAsync(server, invalid)).ConfigureAwait(false) is not { Rows.Count: 1 })
            {
                continue;
            }

            if (await SideDialog.OrLostAsync(SideDialog.RunAsync(server, $"DROP INDEX CONCURRENTLY IF EXISTS {name}")).ConfigureAwait(false) is not { IsOk: true })
            {
                return false;
            }
        }

        return true;
    }
}
