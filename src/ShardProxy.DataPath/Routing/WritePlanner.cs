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

    private static readonly string[] NodeWords =
    [
        "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid",
        "regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regrole", "regnamespace", "regconfig", "regdictionary", "regcollation",
    ];

    // Of those, too, the ones that give each call another value: in a part of a statement that is computed once, the nodes would differ.
    private static readonly FrozenSet<string> Volatile = FrozenSet.Create(
        StringComparer.Ordinal, "clock_timestamp", "gen_random_uuid", "random", "random_normal", "uuidv4", "uuidv7");

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
        if (!shape.IsRestrictable || shape.HasModifyingCte || shape.HasRowLocking || NodesMayDiffer(shape))
        {
            return null;
        }

        var target = shape.RestrictableTarget;
        if (placed[target] is not { Placement: TablePlacement.Sharded } written || shape.Relations.Any(r => (r.Index != target) == (r.Role != RelationRole.Read)))
        {
            return null;
        }

        if (shape.Update is { } update && update.AssignedColumns.Any(a => written.Columns.Any(c => c.Name == a && c.Default is { Kind: ColumnDefaultKind.Moment })) && MaySetDefaults(shape))
        {
            // Each node would take its own moment for it.
            return RoutePlanner.Refuse(table, Execution.ExecutionErrors.GatherTime);
        }

        // Rows of other tables are the same on every node, or belong to the rows that are written; what is made of many of them has to be the same too.
        var isAlone = shape.Relations.Length == 1;
        var isJoined = KeyPins.AreJoined(shape, placed, target);
        if (!isJoined || !shape.Functions.All(f => isAlone ? IsAllowed(f) && !(IsVolatile(f) && StatementWords.Has(shape, HasParts(), "select", "values", "from", "using")) : PureFunctions.Contains(f) || PureFunctions.IsCombinedAggregate(f) || IsNow(f))
            || (!isAlone && RowsMayDiffer(shape)))
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

    /// <summary>Each call of it gives another value.</summary>
    public static bool IsVolatile(FunctionUse function) => Volatile.Contains(function.Name);

    /// <summary>It is the time of the transaction.</summary>
    public static bool IsNow(FunctionUse function) => function is { Schema: null or "pg_catalog", Name: "now" or "transaction_timestamp" };

    /// <summary>It names physical columns or the numbers of objects: those are each node's own.</summary>
    public static bool NodesMayDiffer(StatementShape shape) => StatementWords.Has(shape, NodesDiffer(), NodeWords);

    /// <summary>It may have a query whose rows depend on the order in which a node happens to have them.</summary>
    public static bool RowsMayDiffer(StatementShape shape) => StatementWords.Has(shape, RowsDiffer(), "limit", "offset", "fetch", "distinct", "over");

    /// <summary>It may set columns to DEFAULT.</summary>
    public static bool MaySetDefaults(StatementShape shape) => StatementWords.Has(shape, Default(), "default");

    /// <summary>A write of rows on several nodes may call it.</summary>
    public static bool IsAllowed(FunctionUse function) =>
        GatherPlanner.IsAllowed(function) && !OfItsServer.Contains(function.Name)
        && !function.Name.StartsWith("to_reg", StringComparison.Ordinal) && !function.Name.StartsWith("has_", StringComparison.Ordinal);

    [GeneratedRegex(@"\b(ctid|xmin|xmax|cmin|cmax|tableoid|reg(class|type|proc|procedure|oper|operator|role|namespace|config|dictionary|collation))\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NodesDiffer();

    [GeneratedRegex(@"\bdefault\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Default();

    // Parts that are computed once for all rows: queries, lists of values, functions in FROM.
    [GeneratedRegex(@"\b(select|values|(?<!delete\s+)from|using)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex HasParts();

    [GeneratedRegex(@"\b(limit|offset|fetch|distinct\s+on|over)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex RowsDiffer();
}
