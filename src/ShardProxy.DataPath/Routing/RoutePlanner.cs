using System.Collections.Immutable;
using System.Text.RegularExpressions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Decides how a statement shape is carried out on the present placement. Anything not proven right over several nodes is
/// refused (law 1). Pure; the result is cached on the shape.
/// </summary>
internal static partial class RoutePlanner
{
    /// <summary>The cached plan, or a new one when placement has changed since. Plans under another search_path are not cached.</summary>
    public static RoutePlan PlanFor(StatementShape shape, RoutingTable table, bool defaultSearchPath)
    {
        if (defaultSearchPath)
        {
            if (shape.RouteCache is RoutePlan cached && cached.PlacementVersion == table.PlacementVersion)
            {
                return cached;
            }

            var plan = Plan(shape, table, defaultSearchPath: true);
            shape.RouteCache = plan;
            return plan;
        }

        return Plan(shape, table, defaultSearchPath: false);
    }

    private static RoutePlan Plan(StatementShape shape, RoutingTable table, bool defaultSearchPath)
    {
        if (shape.Kind == StatementKind.Unparsable)
        {
            return shape.Identifiers.Any(table.IsPlacedName) ? Refuse(table, RoutingErrors.Unparsable) : Simple(table, RouteKind.Home, isWrite: true);
        }

        // The body of a DO block, and what the parser could not read: the words in it must not name a placed table.
        if ((shape.Kind == StatementKind.Other || shape.Unsupported is not null) && shape.Identifiers.Any(i => table.IsPlacedName(i) || table.OpaqueFunctions.Contains(i)))
        {
            return Refuse(table, shape.Unsupported is null ? RoutingErrors.OpaqueFunction : RoutingErrors.Unsupported);
        }

        foreach (var function in shape.Functions)
        {
            if (function.Schema is not "pg_catalog" && table.OpaqueFunctions.Contains(function.Name))
            {
                return Refuse(table, RoutingErrors.OpaqueFunction);
            }
        }

        if (OpaqueCode.Refusal(shape, table, defaultSearchPath) is { } hidden)
        {
            return Refuse(table, hidden);
        }

        var reach = ForeignKeyReach.Of(shape, table, defaultSearchPath);
        if (reach.Refusal is { } waits)
        {
            return Refuse(table, waits);
        }

        var placed = new PlacedTable?[shape.Relations.Length];
        var unsharded = 0;
        foreach (var relation in shape.Relations)
        {
            switch (RelationResolver.Resolve(table, relation.Schema, relation.Name, defaultSearchPath, out placed[relation.Index]))
            {
                case RelationClass.Ambiguous:
                    return Refuse(table, RoutingErrors.SearchPath);
                case RelationClass.Opaque when shape.Kind is not (StatementKind.Prepare or StatementKind.DropTable or StatementKind.OtherDdl or StatementKind.AlterTable):
                    return Refuse(table, RoutingErrors.OpaqueRelation);
                case RelationClass.Unsharded or RelationClass.Opaque:
                    unsharded++;
                    break;
            }
        }

        // A temporary view is nowhere written down.
        if (shape.Utility is { Object: UtilityObject.View, IsTemporary: true }
            && shape.Relations.Any(r => placed[r.Index] is { Placement: TablePlacement.Sharded } || table.OpaqueRelations.Any(o => o.Name == r.Name)))
        {
            return Refuse(table, RoutingErrors.OpaqueRelation);
        }

        var plan = UtilityPlanner.TryPlan(shape, table, placed, defaultSearchPath) ?? (placed.All(p => p is null)
            ? Simple(table, RouteKind.Home, !shape.IsReadOnly)
            : OrInParts(OrSupply(OrGather(PlanQuery(shape, table, placed, unsharded), shape, table, placed), shape, table, placed), shape, table, placed));
        if (plan.Kind == RouteKind.Refuse)
        {
            return plan;
        }

        plan = reach.Groups.IsEmpty ? plan : plan with { ReferencingGroups = reach.Groups };
        if (!reach.IsChanging && plan.Tables.All(t => !t.IsChanging))
        {
            return plan;
        }

        // The home node has every row of a table that is being replicated: readers go on there, writers wait.
        return !reach.IsChanging && shape.IsReadOnly && plan.Kind is RouteKind.AnyNode or RouteKind.Home && placed.All(p => p is null or { Placement: TablePlacement.Replicated })
            ? plan with { Kind = RouteKind.Home }
            : plan with { IsChanging = true };
    }

    // What one node, or the proxy, cannot be proven to answer right may still be finished on gathered rows.
    private static RoutePlan OrGather(RoutePlan plan, StatementShape shape, RoutingTable table, PlacedTable?[] placed) =>
        plan.Kind is not (RouteKind.Refuse or RouteKind.ByKey or RouteKind.Aggregate) || GatherPlanner.TryPlan(shape, table, placed) is not { } gather ? plan
        : plan.Kind == RouteKind.Refuse ? gather
        : plan with { Otherwise = plan.Otherwise ?? gather };

    // And a write whose nodes lack rows that it reads may be given them.
    private static RoutePlan OrSupply(RoutePlan plan, StatementShape shape, RoutingTable table, PlacedTable?[] placed) =>
        shape.Supplied is null || plan.Kind is not (RouteKind.Refuse or RouteKind.ByKey) || plan.Otherwise is not null || SuppliedPlanner.TryPlan(shape, table, placed) is not { } supplied ? plan
        : plan.Kind == RouteKind.Refuse ? supplied
        : plan with { Otherwise = supplied };

    // And one with writes in its WITH may run part after part.
    private static RoutePlan OrInParts(RoutePlan plan, StatementShape shape, RoutingTable table, PlacedTable?[] placed) =>
        shape.WritingWith is null || plan.Kind is not (RouteKind.Refuse or RouteKind.ByKey) || plan.Otherwise is not null
            || WritingWithPlanner.TryPlan(shape, table, placed, plan.Refusal ?? RoutingErrors.NoKey) is not { } parts ? plan
        : plan.Kind == RouteKind.Refuse ? parts
        : plan with { Otherwise = parts };

    private static RoutePlan PlanQuery(StatementShape shape, RoutingTable table, PlacedTable?[] placed, int unsharded)
    {
        var tables = placed.OfType<PlacedTable>().Distinct().ToImmutableArray();
        if (shape.Kind == StatementKind.Prepare)
        {
            // It is only read: where it runs, its EXECUTE shows.
            return Simple(table, RouteKind.Home, isWrite: true);
        }

        if (shape.Unsupported is not null || shape.HasCurrentOf || shape.Kind is StatementKind.Merge or StatementKind.Execute)
        {
            return Refuse(table, RoutingErrors.Unsupported);
        }

        if (shape.Relations.Any(r => placed[r.Index] is not null && r.HasTableSample))
        {
            return Refuse(table, RoutingErrors.Unsupported);
        }

        var sharded = tables.Where(t => t.Placement == TablePlacement.Sharded).ToList();
        var writesReplicated = shape.Relations.Any(r => r.Role is not (RelationRole.Read or RelationRole.Utility) && placed[r.Index] is { Placement: TablePlacement.Replicated });
        if (sharded.Count == 0)
        {
            return PlanReplicated(shape, table, placed, tables, unsharded, writesReplicated);
        }

        if (writesReplicated)
        {
            return Refuse(table, RoutingErrors.DmlReturningNodes);
        }

        if (shape.Insert is { Source: InsertSource.Select } && WritePlanner.TryQuery(shape, table, placed) is { } pull)
        {
            return pull;
        }

        if (shape.Aggregate is not null && unsharded == 0)
        {
            return PlanAggregate(shape, table, placed, tables, sharded);
        }

        if (unsharded > 0)
        {
            return Refuse(table, RoutingErrors.UnshardedJoin);
        }

        if (sharded.Select(t => t.GroupId).Distinct().Count() > 1)
        {
            return Refuse(table, RoutingErrors.SeveralGroups);
        }

        return PlanByKey(shape, table, placed, tables, sharded[0].GroupId);
    }

    private static RoutePlan PlanReplicated(
        StatementShape shape, RoutingTable table, PlacedTable?[] placed, ImmutableArray<PlacedTable> tables, int unsharded, bool writesReplicated)
    {
        if (!writesReplicated)
        {
            // A row lock on the home node is enough: every write to a replicated table begins there.
            return Simple(table, unsharded > 0 || !shape.IsReadOnly ? RouteKind.Home : RouteKind.AnyNode, !shape.IsReadOnly) with { Tables = tables };
        }

        if (unsharded > 0)
        {
            return Refuse(table, RoutingErrors.UnshardedJoin);
        }

        if (shape.Kind is StatementKind.Explain or StatementKind.DeclareCursor)
        {
            return Refuse(table, RoutingErrors.Unsupported);
        }

        if (shape.Insert is { } insert && placed[insert.TargetRelation] is { Placement: TablePlacement.Replicated } target)
        {
            if (insert.OverridesByUser && target.Columns.Any(c => c.Default is { IsIdentity: true }))
            {
                return Refuse(table, RoutingErrors.VolatileReplicated);
            }

            if (KeyDefaults.TryReplicated(shape, insert, target, table) is { } made)
            {
                return made;
            }
        }

        return shape.Functions.All(f => PureFunctions.Contains(f) || PureFunctions.IsSet(f) || WritePlanner.IsNow(f)) && !NodesMayDiffer(shape)
            ? Simple(table, RouteKind.ReplicatedWrite, isWrite: true) with { Tables = tables }
            : Refuse(table, RoutingErrors.VolatileReplicated);
    }

    // What depends on the order or the place of rows is not the same on every node.
    private static bool NodesMayDiffer(StatementShape shape) =>
        StatementWords.Has(shape, NodesDiffer(), "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "limit", "offset", "fetch", "distinct");

    [GeneratedRegex(@"\b(ctid|xmin|xmax|cmin|cmax|tableoid|limit|offset|fetch|distinct)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NodesDiffer();

    private static RoutePlan PlanAggregate(
        StatementShape shape, RoutingTable table, PlacedTable?[] placed, ImmutableArray<PlacedTable> tables, List<PlacedTable> sharded)
    {
        // One pinned table needs no combining at all.
        if (!shape.Aggregate!.IsScalarSubqueries && KeyPins.Find(shape, table, placed) is { } lookups)
        {
            return ByKey(shape, table, tables, sharded[0].GroupId, lookups);
        }

        return shape.Functions.All(f => PureFunctions.Contains(f) || PureFunctions.IsCombinedAggregate(f))
            ? Simple(table, RouteKind.Aggregate, isWrite: false) with { Tables = tables, GroupId = sharded[0].GroupId }
            : Refuse(table, RoutingErrors.NoKey);
    }

    private static RoutePlan PlanByKey(StatementShape shape, RoutingTable table, PlacedTable?[] placed, ImmutableArray<PlacedTable> tables, int groupId)
    {
        if (shape.Update is { } update && WritesKey(shape, placed, RelationRole.Update, update.AssignedColumns))
        {
            return KeyUpdate.TryPlan(shape, table, placed, KeyPins.Find(shape, table, placed)) ?? Refuse(table, RoutingErrors.KeyUpdate);
        }

        if (KeyPins.Find(shape, table, placed) is not { } lookups)
        {
            return WritePlanner.TryChange(shape, table, placed, []) ?? Refuse(table, RoutingErrors.NoKey);
        }

        if (shape.Insert is { } insert && placed[insert.TargetRelation] is { Placement: TablePlacement.Sharded } target)
        {
            if (insert.ConflictUpdateColumns.Any(c => IsKey(target, c)))
            {
                return Refuse(table, RoutingErrors.KeyUpdate);
            }

            if (KeyDefaults.Ignores(insert, target) || !InsertKeys.TryAdd(insert, target, lookups))
            {
                return KeyDefaults.TryPlan(shape, insert, target, table) ?? Refuse(table, insert.Source == InsertSource.Values ? RoutingErrors.UnprovenKey : RoutingErrors.NoKey);
            }

            if (KeyDefaults.TryMoments(insert, target, table) is { } moments)
            {
                return moments;
            }
        }
        else if (shape.Relations.Any(r => r.Role == RelationRole.Insert && placed[r.Index] is not null))
        {
            return Refuse(table, RoutingErrors.Unsupported);
        }

        var plan = ByKey(shape, table, tables, groupId, lookups);
        return plan with { Otherwise = shape.Insert is null ? WritePlanner.TryChange(shape, table, placed, plan.Lookups) : WritePlanner.TryRows(shape, table, placed, plan) };
    }

    private static RoutePlan ByKey(StatementShape shape, RoutingTable table, ImmutableArray<PlacedTable> tables, int groupId, List<KeyLookup> lookups) => new()
    {
        PlacementVersion = table.PlacementVersion,
        Kind = RouteKind.ByKey,
        GroupId = groupId,
        Lookups = [.. lookups],
        Tables = tables,
        IsWrite = !shape.IsReadOnly,
    };

    private static bool WritesKey(StatementShape shape, PlacedTable?[] placed, RelationRole role, ImmutableArray<string> columns)
    {
        foreach (var relation in shape.Relations)
        {
            if (relation.Role == role && placed[relation.Index] is { Placement: TablePlacement.Sharded } target && columns.Any(c => IsKey(target, c)))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsKey(PlacedTable table, string column) => table.KeyColumns.Any(k => string.Equals(table.Columns[k].Name, column, StringComparison.Ordinal));

    internal static RoutePlan Simple(RoutingTable table, RouteKind kind, bool isWrite) =>
        new() { PlacementVersion = table.PlacementVersion, Kind = kind, IsWrite = isWrite };

    internal static RoutePlan Refuse(RoutingTable table, ShardProxyError error) =>
        new() { PlacementVersion = table.PlacementVersion, Kind = RouteKind.Refuse, Refusal = error };
}
