using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Views;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Shows what the router knows of statements: EXPLAIN ROUTE and SHOW STATEMENTS. Runs nothing.</summary>
internal sealed class RouteExplainer(DataPathServices services)
{
    /// <summary>The route of a statement as lines of text.</summary>
    public ImmutableArray<string> Explain(string sql)
    {
        var text = Encoding.UTF8.GetBytes(sql);
        var literals = new LiteralList();
        var scan = services.Analyzer.Scan(text, 0, literals);
        if (scan.Outcome == ScanOutcome.Refused)
        {
            return [.. Refusal(scan.Error!)];
        }

        if (scan.Outcome == ScanOutcome.Empty)
        {
            return ["nothing to route: the statement is empty"];
        }

        var shape = scan.Shape ?? services.Analyzer.AnalyzeAsync(text.AsMemory(scan.Start, scan.End - scan.Start), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        var table = services.Holder.Current;
        var lines = ImmutableArray.CreateBuilder<string>();
        lines.Add($"Shape: {shape.Text}");
        lines.Add(string.Create(CultureInfo.InvariantCulture, $"Epoch: {table.Epoch}"));
        if (shape.Transaction is not null || shape.Variable is not null)
        {
            lines.Add("Route: session state, carried out by the proxy on the servers of the transaction");
            return lines.ToImmutable();
        }

        var plan = RoutePlanner.PlanFor(shape, table, defaultSearchPath: true);
        switch (plan.Kind)
        {
            case RouteKind.Refuse:
                lines.AddRange(Refusal(plan.Refusal!));
                break;
            case RouteKind.ByKey:
                ExplainKey(plan, text, literals, shape, table, lines);
                break;
            default:
                lines.Add($"Route: {Describe(plan, table.HomeNode.Name, string.Join(", ", table.Nodes.Select(n => n.Name)))}");
                break;
        }

        return lines.ToImmutable();
    }

    /// <summary>Shapes with the most calls.</summary>
    public ImmutableArray<StatementSnapshot> Statements(int limit)
    {
        var table = services.Holder.Current;
        return
        [
            .. services.Analyzer.Shapes.OrderByDescending(s => s.Statistics.Calls).Take(limit).Select(s => new StatementSnapshot(
                s.Fingerprint.ToString("x16", CultureInfo.InvariantCulture),
                s.Text,
                s.RouteCache is RoutePlan plan && plan.PlacementVersion == table.PlacementVersion ? plan.Kind.ToString() : "",
                s.Statistics.Calls,
                s.Statistics.Errors,
                s.Statistics.Rows,
                s.Statistics.TotalMicros / 1000.0,
                s.Statistics.Calls == 0 ? 0 : s.Statistics.TotalMicros / 1000.0 / s.Statistics.Calls,
                s.Statistics.MaxMicros / 1000.0)),
        ];
    }

    private static void ExplainKey(
        RoutePlan plan, byte[] text, LiteralList literals, StatementShape shape, Model.Routing.RoutingTable table, ImmutableArray<string>.Builder lines)
    {
        var group = table.Group(plan.GroupId);
        lines.Add($"Group: {group.Name}, key ({string.Join(", ", plan.Lookups.Select(l => string.Join(", ", l.Table.KeyColumns.Select(k => l.Table.Columns[k].Name))).Distinct())})");
        if (shape.ParameterCount > 0)
        {
            lines.Add("Route: one node, by the key's parameters when they are bound");
            return;
        }

        var route = Router.Route(plan, new KeyInput(text, literals, null, null), table, null, new TouchSet(), out var nodeId, out var hash, out var error);
        if (route == KeyRoute.Refused && plan.Otherwise is { } otherwise)
        {
            lines.Add($"Route: {Describe(otherwise, table.HomeNode.Name, string.Join(", ", table.Nodes.Select(n => n.Name)))}");
            return;
        }

        if (route == KeyRoute.Refused)
        {
            lines.AddRange(Refusal(error!));
            return;
        }

        if (hash is { } value)
        {
            var range = group.Locate(value);
            lines.Add(group.Scale is null ? string.Create(CultureInfo.InvariantCulture, $"Range: {range.Id} (hash {value})") : string.Create(CultureInfo.InvariantCulture, $"First range: {range.Id}"));
        }

        lines.Add($"Route: node {table.Node(nodeId).Name}{(route == KeyRoute.Hold ? ", held until the cutover of its range ends" : "")}");
    }

    private static string Describe(RoutePlan plan, string home, string all) => plan.Kind switch
    {
        RouteKind.Home => $"node {home} (home: no sharded or replicated table is written)",
        RouteKind.AnyNode => $"any node, now {home} (replicated tables are read)",
        RouteKind.ReplicatedWrite => $"all nodes ({all}), {home} first, committed in two phases",
        RouteKind.BroadcastInTransaction => $"all nodes ({all}), {home} first, in one transaction committed in two phases",
        RouteKind.BroadcastOutside => $"all nodes ({all}), one after another, outside a transaction",
        RouteKind.Aggregate => $"all nodes ({all}), partial aggregates combined by the proxy",
        RouteKind.Scatter => $"all nodes ({all}), their rows one after another",
        RouteKind.Gather when plan.IsPartial => $"all nodes ({all}), each answers for its own rows, combined on {home} by PostgreSQL",
        RouteKind.Gather => $"all nodes ({all}), the rows it needs gathered on {home}, finished there by PostgreSQL",
        RouteKind.SplitInsert => $"the nodes of its rows (of {all}), each its own, committed in two phases",
        RouteKind.DefaultKeys => $"{Made(plan)} made by the proxy, then the nodes of its rows (of {all})",
        RouteKind.PullInsert => $"the query's rows are fetched and copied to their nodes (of {all}), committed in two phases",
        RouteKind.NodeWrites => $"the nodes that have rows (of {all}), each writes its own, committed in two phases",
        RouteKind.SuppliedWrite when plan.GroupId == 0 => $"{home}, with the rows it reads from other nodes (of {all}) written into its text",
        RouteKind.SuppliedWrite => $"the nodes that have rows (of {all}), with the rows it reads from elsewhere written into its text, committed in two phases",
        RouteKind.WritingWith => $"one part after another, each on the nodes that have its rows (of {all}), what the writes return written into the text of the next, committed in two phases",
        RouteKind.CreateAs => $"the table is made on {home}, its rows are fetched (from {all}) and copied there",
        RouteKind.MoveRows => $"the nodes that have rows (of {all}), which go to the node of the new key, committed in two phases",
        RouteKind.Enclosed => $"all nodes ({all}), the rows its query needs gathered on {home}, finished there by PostgreSQL",
        RouteKind.CopySharded => $"all nodes ({all}), rows split by key, committed in two phases",
        RouteKind.CopyReplicated => $"all nodes ({all}), every row to each, committed in two phases",
        _ => plan.Kind.ToString(),
    };

    private static string Made(RoutePlan plan) => string.Join(" and ", plan.DefaultedKeys.Select(k => k.Column.Default switch
    {
        _ when k.IsComputed => $"{k.Column.Name} (computed on the home node)",
        { Kind: Model.Topology.ColumnDefaultKind.Sequence } sequence => $"{k.Column.Name} (of sequence {sequence.Text})",
        _ => k.Column.Name,
    }));

    private static IEnumerable<string> Refusal(ShardProxyError error)
    {
        yield return $"Refused: {error.SqlState} {error.Code} {error.Message}";
        if (error.Hint is not null)
        {
            yield return $"Hint: {error.Hint}";
        }
    }
}
