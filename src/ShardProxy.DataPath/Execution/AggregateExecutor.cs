using System.Collections.Immutable;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// count, sum, min and max over all nodes: every node computes its part, the parts are combined here. While a range of the group may
/// have ghost rows, each node's part is limited to the rows it owns (DESIGN section 5).
/// </summary>
internal static class AggregateExecutor
{
    /// <summary>Runs the statement. Writes rows and tag, no ReadyForQuery; the RowDescription only when <paramref name="describesRows"/>.</summary>
    public static async ValueTask RunAsync(
        Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var aggregate = shape.Aggregate!;
        var relations = shape.Relations.Select(r => Placed(session, table, r)).ToImmutableArray();
        var nodes = table.Nodes.Where(n => n.IsHome || plan.Tables.Any(t => t.Placement == TablePlacement.Sharded && table.Group(t.GroupId).Ranges.Any(r => r.NodeId == n.Id))).ToArray();
        var texts = new ReadOnlyMemory<byte>[nodes.Length];
        for (var i = 0; i < nodes.Length; i++)
        {
            if (OwnRowsOnly(command.Sql, shape, table, relations, nodes[i]) is not { } text)
            {
                session.Fail(RoutingErrors.Unsupported);
                return;
            }

            texts[i] = text;
        }

        var servers = new ServerConnection[nodes.Length];
        for (var i = 0; i < nodes.Length; i++)
        {
            servers[i] = await SessionServers.GetAsync(session, nodes[i]).ConfigureAwait(false);
        }

        var parts = await Task.WhenAll(servers.Select((s, i) => SideDialog.OrLostAsync(SideDialog.RunAsync(s, new NodeCommand(texts[i], command.Parameters, TextResults: true))).AsTask())).ConfigureAwait(false);
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i] is not { } part)
            {
                ServerLoss.Report(session, servers[i], mayHaveWritten: false);
                return;
            }

            if (!part.IsOk)
            {
                session.Fail(part.ErrorPayload!);
                return;
            }
        }

        var home = Array.FindIndex(nodes, n => n.IsHome);
        var description = parts[home]!.RowDescription!;
        var types = RowShape.Types(description);
        var row = new byte[]?[aggregate.Outputs.Length];
        for (var column = 0; column < row.Length; column++)
        {
            var output = aggregate.Outputs[column];
            var isSharded = relations[output.Relation] is { Placement: TablePlacement.Sharded };
            var error = Merge(output, parts, isSharded ? null : home, column, types[column], command.Parameters?.WantsBinary(column) == true, out row[column]);
            if (ReferenceEquals(error, RoutingErrors.AggregateType) && plan.Otherwise is { } otherwise)
            {
                // The types only the servers know. What was read is thrown away, and the next call of this shape need not ask.
                shape.RouteCache = ReferenceEquals(shape.RouteCache, plan) ? otherwise : shape.RouteCache;
                await GatherExecutor.RunAsync(session, otherwise, table, shape, command, describesRows).ConfigureAwait(false);
                return;
            }

            if (error is not null)
            {
                session.Fail(error);
                return;
            }
        }

        if (describesRows)
        {
            MessageWriter.Raw(session.Output, BackendTag.RowDescription, description);
        }

        RowWriter.Write(session.Output, row);
        MessageWriter.CString(session.Output, BackendTag.CommandComplete, "SELECT 1");
    }

    private static ShardProxyError? Merge(ScalarAggregate output, DialogResult?[] parts, int? only, int column, uint type, bool binary, out byte[]? value)
    {
        value = null;
        if (!AggregateMerger.CanMerge(type))
        {
            return RoutingErrors.AggregateType;
        }

        var partials = only is { } one ? [parts[one]!.Rows[0][column]] : parts.Select(p => p!.Rows[0][column]);
        if (!AggregateMerger.TryMerge(output.Function, partials, out var merged))
        {
            return RoutingErrors.AggregateType;
        }

        if (merged is not { } result)
        {
            return null;
        }

        value = AggregateMerger.Encode(result, type, binary);
        return value is null ? new ShardProxyError("22003", "SHP-405", "bigint out of range", "Cast the argument of the aggregate to numeric.") : null;
    }

    private static PlacedTable? Placed(Session session, RoutingTable table, RelationUse relation)
    {
        RelationResolver.Resolve(table, relation.Schema, relation.Name, session.HasDefaultSearchPath, out var placed);
        return placed;
    }

    private static ReadOnlyMemory<byte>? OwnRowsOnly(
        ReadOnlyMemory<byte> sql, StatementShape shape, RoutingTable table, ImmutableArray<PlacedTable?> relations, Node node)
    {
        if (!relations.Any(r => r is { Placement: TablePlacement.Sharded } && table.Moves.Any(m => m.GroupId == r.GroupId)))
        {
            return sql;
        }

        var rewritten = StatementRewriter.TryAddPredicates(
            sql.Span,
            shape,
            relation => relations[relation.Index] is { Placement: TablePlacement.Sharded } placed
                ? Router.OwnedPredicate(table, placed, node.Id, SqlIdentifier.Quote(relation.Alias ?? relation.Name))
                : null);
        return rewritten;
    }
}
