using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Which writes may run where the rows of their target are, with the rows that they read from elsewhere written into their text. What does not depend on
/// the row that is written is computed once, for all nodes; what does is computed on that row's node, from rows that are the same everywhere.
/// </summary>
internal static class SuppliedPlanner
{
    /// <summary>How it runs; null: not at all.</summary>
    public static RoutePlan? TryPlan(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        if (shape.Supplied is null || shape.Gather is not { HasSystemColumns: false, HasLongNames: false } || shape.Unsupported is not null || shape.HasCurrentOf
            || shape.Relations.Any(r => r.HasTableSample) || shape.Relations.Where(r => r.Role != RelationRole.Read).ToList() is not [var target])
        {
            return null;
        }

        var plan = RoutePlanner.Simple(table, RouteKind.SuppliedWrite, isWrite: true) with { Tables = [.. placed.OfType<PlacedTable>().Distinct()] };
        if (placed[target.Index] is null)
        {
            return shape.Insert is { Source: InsertSource.Select } insert && (insert.QueryTokens is null || (insert.HasWith && insert.HasReturning)) ? null : plan;
        }

        if (placed[target.Index] is not { Placement: TablePlacement.Sharded } written || !shape.Functions.All(f => WritePlanner.IsAllowed(f) && !WritePlanner.IsVolatile(f))
            || WritePlanner.NodesMayDiffer(shape) || TakesMoments(shape, written) || shape.Update?.AssignedColumns.Any(c => written.KeyColumns.Any(k => written.Columns[k].Name == c)) == true)
        {
            return null;
        }

        var isRight = shape.Kind switch
        {
            StatementKind.Update or StatementKind.Delete => shape.IsRestrictable && shape.RestrictableTarget == target.Index,
            StatementKind.Merge => MergePlacement.Of(shape, placed, target.Index) is not null,
            _ => false,
        };
        return !isRight ? null : plan with { GroupId = written.GroupId, Lookups = Keys(shape, table, placed, target.Index) };
    }

    /// <summary>The relations whose rows the target's nodes have, as far as they count.</summary>
    public static HashSet<int> InPlace(StatementShape shape, PlacedTable?[] placed, int target)
    {
        var isHome = placed[target] is null;
        HashSet<int> found = isHome ? [] : KeyPins.Joined(shape, placed, target);
        found.UnionWith(shape.Relations.Where(r => r.Index == target || (placed[r.Index] is { } table ? table.Placement == TablePlacement.Replicated : isHome)).Select(r => r.Index));
        return found;
    }

    /// <summary>A query that is the same whoever computes it may be left to each node.</summary>
    public static bool MayDifferByOrder(StatementShape shape) =>
        WritePlanner.RowsMayDiffer(shape) || !shape.Functions.All(f => PureFunctions.Contains(f) || PureFunctions.IsCombinedAggregate(f) || WritePlanner.IsNow(f));

    // Each node would take a moment of its own for a column that has the transaction's by default.
    private static bool TakesMoments(StatementShape shape, PlacedTable written)
    {
        var moments = written.Columns.Where(c => c.Default is { Kind: ColumnDefaultKind.Moment }).Select(c => c.Name).ToList();
        return moments.Count > 0
            && (WritePlanner.MaySetDefaults(shape) || shape.Supplied!.Merge?.Inserts.Any(i => i.Columns.IsEmpty || !moments.TrueForAll(i.Columns.Contains)) == true);
    }

    // Of an UPDATE or DELETE the keys its target is pinned to, if it is.
    private static ImmutableArray<KeyLookup> Keys(StatementShape shape, RoutingTable table, PlacedTable?[] placed, int target)
    {
        if (shape.Kind == StatementKind.Merge)
        {
            return [];
        }

        var only = new PlacedTable?[placed.Length];
        only[target] = placed[target];
        return KeyPins.Find(shape, table, only) is { } lookups ? [.. lookups] : [];
    }
}
