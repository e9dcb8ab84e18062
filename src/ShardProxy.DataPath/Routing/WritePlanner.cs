using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Which writes of sharded tables may run on several nodes, each node writing its own rows: those for which the parts together are provably what the
/// whole is on one PostgreSQL.
/// </summary>
internal static partial class WritePlanner
{
    // Of the functions that gathered statements may call, those of which each node has a value of its own for the same arguments and settings.
    private static readonly FrozenSet<string> OfItsServer = FrozenSet.Create(
        StringComparer.Ordinal,
        "age", "col_description", "current_setting", "currval", "format_type", "has_any_column_privilege", "obj_description", "row_security_active", "shobj_description",
        "statement_timestamp", "timeofday", "version");

    /// <summary>How an INSERT runs whose rows belong to several nodes; null: not at all.</summary>
    public static RoutePlan? TryRows(StatementShape shape, RoutingTable table, PlacedTable?[] placed, RoutePlan byKey)
    {
        var insert = shape.Insert!;
        return shape.Kind == StatementKind.Insert
            && insert.RowTokens.Length == byKey.Lookups.Length
            && insert.RowTokens.Length > 1
            && shape.Relations.All(r => r.Index == insert.TargetRelation || (r.Role == RelationRole.Read && placed[r.Index] is { Placement: TablePlacement.Replicated }))
            ? byKey with { Kind = RouteKind.SplitInsert, PlacementVersion = table.PlacementVersion }
            : null;
    }

    /// <summary>How an INSERT … SELECT into a sharded table runs; null: not at all. Whether its query can be answered is seen when it runs.</summary>
    public static RoutePlan? TryQuery(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        var insert = shape.Insert!;
        if (shape.Kind != StatementKind.Insert || insert.QueryTokens is null || shape.HasModifyingCte || shape.HasRowLocking
            || placed[insert.TargetRelation] is not { Placement: TablePlacement.Sharded } target
            || shape.Relations.Any(r => (r.Index != insert.TargetRelation && r.Role != RelationRole.Read) || (placed[r.Index] is not null && r.HasTableSample))
            || insert.OverridesByUser || (insert.HasWith && insert.HasReturning) || insert.ConflictUpdateColumns.Any(c => target.KeyColumns.Any(k => target.Columns[k].Name == c))
            || (!insert.Columns.IsEmpty && target.KeyColumns.Any(k => !insert.Columns.Contains(target.Columns[k].Name) && !CanDraw(target.Columns[k]))))
        {
            return null;
        }

        return RoutePlanner.Simple(table, RouteKind.PullInsert, isWrite: true) with
        {
            GroupId = target.GroupId,
            Tables = [.. placed.OfType<PlacedTable>().Distinct()],
        };
    }

    /// <summary>A value of its default can be made for each row.</summary>
    public static bool CanDraw(TableColumn column) => column.Default is { Kind: ColumnDefaultKind.Sequence or ColumnDefaultKind.RandomUuid };

    /// <summary>How an UPDATE or DELETE runs that is not pinned to one node; null: not at all.</summary>
    /// <param name="shape">The statement; it does not assign the key.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="placed">Per relation its placed table; none is unsharded, all sharded ones are of one group.</param>
    /// <param name="lookups">The keys it is pinned to, if it is.</param>
    public static RoutePlan? TryChange(StatementShape shape, RoutingTable table, PlacedTable?[] placed, ImmutableArray<KeyLookup> lookups)
    {
        if (!shape.IsRestrictable || shape.HasModifyingCte || shape.HasRowLocking || NodesDiffer().IsMatch(shape.Text))
        {
            return null;
        }

        var target = shape.RestrictableTarget;
        if (placed[target] is not { Placement: TablePlacement.Sharded } written || shape.Relations.Any(r => (r.Index != target) == (r.Role != RelationRole.Read)))
        {
            return null;
        }

        if (shape.Update is { } update && update.AssignedColumns.Any(a => written.Columns.Any(c => c.Name == a && c.Default is { Kind: ColumnDefaultKind.Moment })) && Default().IsMatch(shape.Text))
        {
            // Each node would take its own moment for it.
            return RoutePlanner.Refuse(table, Execution.ExecutionErrors.GatherTime);
        }

        // Rows of other tables are the same on every node, or belong to the rows that are written; what is made of many of them has to be the same too.
        var isAlone = shape.Relations.Length == 1;
        var isJoined = KeyPins.AreJoined(shape, placed, target);
        if (!isJoined || !shape.Functions.All(f => isAlone ? IsAllowed(f) : PureFunctions.Contains(f) || PureFunctions.IsCombinedAggregate(f) || IsNow(f))
            || (!isAlone && RowsDiffer().IsMatch(shape.Text)))
        {
            return null;
        }

        return RoutePlanner.Simple(table, RouteKind.NodeWrites, isWrite: true) with
        {
            GroupId = written.GroupId,
            Tables = [.. placed.OfType<PlacedTable>().Distinct()],
            Lookups = lookups,
        };
    }

    /// <summary>The transaction's moment, which is put in its place.</summary>
    public static bool IsNow(FunctionUse function) => function is { Schema: null or "pg_catalog", Name: "now" or "transaction_timestamp" };

    /// <summary>A write of rows on several nodes may call it.</summary>
    public static bool IsAllowed(FunctionUse function) =>
        GatherPlanner.IsAllowed(function) && !OfItsServer.Contains(function.Name)
        && !function.Name.StartsWith("to_reg", StringComparison.Ordinal) && !function.Name.StartsWith("has_", StringComparison.Ordinal);

    // Physical columns and the numbers of objects are each node's own.
    [GeneratedRegex(@"\b(ctid|xmin|xmax|cmin|cmax|tableoid|reg(class|type|proc|procedure|oper|operator|role|namespace|config|dictionary|collation))\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NodesDiffer();

    [GeneratedRegex(@"\bdefault\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Default();

    [GeneratedRegex(@"\b(limit|offset|fetch|distinct\s+on|over)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex RowsDiffer();
}
