using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Where the rows of an INSERT … SELECT come from.</summary>
/// <param name="Nodes">The nodes that answer the query, each for its own rows; empty when it is gathered.</param>
/// <param name="Gather">How it is gathered; null when nodes answer it.</param>
/// <param name="Shape">The query's own shape.</param>
internal sealed record PullSource(int[] Nodes, RoutePlan? Gather, StatementShape Shape);

/// <summary>What PostgreSQL says of an INSERT … SELECT.</summary>
/// <param name="Casts">The query's columns <c>q.c0</c>, <c>q.c1</c> …, each with the type of the table's column it goes to.</param>
/// <param name="Columns">Those columns' names.</param>
/// <param name="Moments">Further columns that have the transaction's moment by default.</param>
/// <param name="Drawn">Further columns of the key, of which a value is made for each row.</param>
/// <param name="Types">The parameters' types; null when there are none.</param>
/// <param name="RowDescription">Of its RETURNING, or null.</param>
internal sealed record PullColumns(string Casts, ImmutableArray<string> Columns, ImmutableArray<TableColumn> Moments, ImmutableArray<TableColumn> Drawn, uint[]? Types, byte[]? RowDescription)
{
    /// <summary>The columns that are stored, in the order of a row.</summary>
    public ImmutableArray<string> All => [.. Columns, .. Moments.Select(c => c.Name), .. Drawn.Select(c => c.Name)];

    /// <summary>The query with those types, and with the moments.</summary>
    public string Select(string query) => $"SELECT {string.Join(", ", Moments.Select(c => c.Default!.Text).Prepend(Casts))} FROM ({query}\n) AS q ({string.Join(", ", Columns.Select((_, i) => $"c{i}"))})";
}

/// <summary>Reads an INSERT … SELECT before it runs: where its query can be answered, and what its rows have to be like.</summary>
internal static class PullInsertQuery
{
    /// <summary>The query is a statement of its own: where its rows are is planned as if it stood alone.</summary>
    public static async ValueTask<(PullSource? Source, ShardProxyError? Error)> SourceAsync(Session session, RoutingTable table, NodeCommand command, byte[] query)
    {
        var literals = new LiteralList();
        var scan = session.Services.Analyzer.Scan(query, 0, literals);
        if (scan.Outcome is ScanOutcome.Refused or ScanOutcome.Empty)
        {
            return (null, scan.Error ?? RoutingErrors.Unsupported);
        }

        var shape = scan.Shape ?? await session.Services.Analyzer.AnalyzeAsync(query.AsMemory(scan.Start, scan.End - scan.Start), session.Connection.Closed).ConfigureAwait(false);
        if (shape is not { Kind: StatementKind.Select, IsReadOnly: true })
        {
            return (null, RoutingErrors.NoKey);
        }

        var plan = RoutePlanner.PlanFor(shape, table, session.HasDefaultSearchPath);
        if (plan.Kind == RouteKind.ByKey)
        {
            if (Router.Route(plan, new KeyInput(query, literals, command.Parameters, session.Relay.Told), table, session.Activity, new TouchSet(), out var node, out _, out var unrouted) == KeyRoute.Node)
            {
                return (new PullSource([node], null, shape), null);
            }

            if (plan.Otherwise is null)
            {
                return (null, unrouted ?? RoutingErrors.NoKey);
            }

            plan = plan.Otherwise;
        }

        // While a range moves a node may have rows that it does not own: gathering leaves them out.
        if (plan.Kind is RouteKind.Aggregate || (plan.Kind == RouteKind.Scatter && (HasPresent(command, query) || table.Moves.Any(m => plan.Tables.Any(t => t.GroupId == m.GroupId)))))
        {
            plan = plan.Otherwise ?? plan;
        }

        return plan.Kind switch
        {
            RouteKind.Home or RouteKind.AnyNode => (new PullSource([table.HomeNode.Id], null, shape), null),
            RouteKind.Scatter => (new PullSource([.. table.Group(plan.GroupId).Ranges.Select(r => r.NodeId).Distinct().Order()], null, shape), null),
            RouteKind.Gather => (new PullSource([], plan, shape), null),
            RouteKind.Refuse => (null, plan.Refusal),
            _ => (null, RoutingErrors.NoKey),
        };
    }

    /// <summary>
    /// The statement as the home node reads it: what PostgreSQL has against it is told, and null returned. An explicit cast gives what the assignment gives, as
    /// far as the assignment is allowed; lengths and scales are left to the assignment itself.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="home">The home node's server.</param>
    /// <param name="target">The table's name as SQL text.</param>
    /// <param name="placed">The table, if it is sharded: every row needs a value of its key.</param>
    /// <param name="shape">The statement.</param>
    /// <param name="command">With its parameters.</param>
    /// <param name="query">Its query.</param>
    public static async ValueTask<PullColumns?> ReadAsync(
        Session session, ServerConnection home, string target, PlacedTable? placed, StatementShape shape, NodeCommand command, byte[] query)
    {
        var whole = await StatementCheck.RunAsync(home, command.Sql, command.ParameterTypes ?? command.Parameters?.TypeOids ?? []).ConfigureAwait(false);
        if (!Passed(session, whole))
        {
            return null;
        }

        if (command.Parameters is null && whole.ParameterTypes.Length > 0)
        {
            session.Fail("42P02", "there is no parameter $1");
            return null;
        }

        var part = await StatementCheck.RunAsync(home, query, whole.ParameterTypes).ConfigureAwait(false);
        var known = await SideDialog.RunAsync(
            home,
            $"""
            SELECT a.attname, pg_catalog.format_type(a.atttypid, -1), a.atttypid,
              {CopyLine.IsExactSql}
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = {SqlIdentifier.Literal(target)}::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum
            """).ConfigureAwait(false);
        if (!Passed(session, part) || !Passed(session, known))
        {
            return null;
        }

        if (known.Rows.Exists(r => r[3] is not [(byte)'t']))
        {
            session.Fail(ExecutionErrors.LossyText);
            return null;
        }

        var types = RowShape.Types(part.RowDescription ?? []);
        ImmutableArray<string> columns = shape.Insert!.Columns is { IsEmpty: false } named ? named : [.. known.Rows.Take(types.Length).Select(r => Encoding.UTF8.GetString(r[0]!))];
        ImmutableArray<TableColumn> drawn = placed is null ? [] : [.. placed.KeyColumns.Select(k => placed.Columns[k]).Where(c => !columns.Contains(c.Name))];
        ImmutableArray<TableColumn> moments = placed is null ? [] : [.. placed.Columns.Where(c => c.Default is { Kind: ColumnDefaultKind.Moment } && !columns.Contains(c.Name) && !drawn.Contains(c))];
        if (types.Length == 0 || columns.Length != types.Length || !drawn.All(WritePlanner.CanDraw))
        {
            session.Fail(RoutingErrors.NoKey);
            return null;
        }

        var targets = known.Rows.ToDictionary(r => Encoding.UTF8.GetString(r[0]!), r => (Type: Encoding.UTF8.GetString(r[1]!), Oid: Encoding.UTF8.GetString(r[2]!)));
        var values = columns.Select((c, i) => targets[c].Oid == types[i].ToString(CultureInfo.InvariantCulture) ? $"q.c{i}" : $"q.c{i}::{targets[c].Type}");
        return new PullColumns(string.Join(", ", values), columns, moments, drawn, command.Parameters is null ? null : whole.ParameterTypes, whole.RowDescription);
    }

    private static bool HasPresent(NodeCommand command, byte[] query)
    {
        var text = Encoding.UTF8.GetString(query);
        return TransactionTimeText.HasTime(text) || TransactionTimeText.HasMovingLiteral(text) || ReplicatedWriteGuard.HasMovingParameter(command.Parameters);
    }

    private static bool Passed(Session session, DialogResult result)
    {
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
