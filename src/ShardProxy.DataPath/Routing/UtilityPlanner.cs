using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Plans of COPY, DDL, TRUNCATE, VACUUM and LOCK; null for statements that are planned as queries.</summary>
internal static class UtilityPlanner
{
    // Forms of ALTER TABLE that would take a placed table out of the catalog's sight.
    private static readonly string[] RefusedAlterations =
        [" rename to ", " set schema ", " inherit ", " of ", " set tablespace "];

    public static RoutePlan? TryPlan(StatementShape shape, RoutingTable table, PlacedTable?[] placed, bool defaultSearchPath)
    {
        var anyPlaced = placed.Any(p => p is not null);
        switch (shape.Kind)
        {
            case StatementKind.Copy when anyPlaced && shape.Copy is { IsFrom: true }:
                return Copy(shape, table, placed);
            case StatementKind.Copy when shape.Copy is { IsFrom: false, Relation: { } whole } && placed[whole] is { IsPartitioned: true }:
                // PostgreSQL's own refusal, which has the way out.
                return RoutePlanner.Simple(table, RouteKind.Home, isWrite: false);
            case StatementKind.Copy when shape.Copy is { IsFrom: false, IsStdio: true, Relation: { } read } && placed.Length == 1
                && placed[read] is { Placement: TablePlacement.Sharded } source:
                return RoutePlanner.Simple(table, RouteKind.Enclosed, isWrite: false) with { Tables = [source], GroupId = source.GroupId };
            case StatementKind.Other when shape.DefersConstraints is not null && table.Tables.Length > 0:
                return Constraints(shape, table);
            case StatementKind.CreateTable:
                return CreateTable(shape, table, placed, defaultSearchPath);
            case StatementKind.DropTable or StatementKind.Truncate or StatementKind.AlterTable or StatementKind.Lock or StatementKind.CreateIndex
                or StatementKind.Vacuum when anyPlaced:
                return OnTables(shape, table, placed);
            case StatementKind.Vacuum when shape.Utility is { Names.IsEmpty: true } && table.Tables.Length > 0:
                return RoutePlanner.Simple(table, RouteKind.BroadcastOutside, isWrite: true);
            case StatementKind.DropIndex when table.Tables.Length > 0 && shape.Utility is { } drop:
                // Which table an index belongs to is not known here: the nodes that do not have it are content.
                var others = $"DROP INDEX {(drop.IsConcurrently ? "CONCURRENTLY " : "")}IF EXISTS {Names(drop.Names.Select(n => (n.Schema, n.Name)))}{(drop.IsCascade ? " CASCADE" : "")}";
                return drop.IsConcurrently
                    ? RoutePlanner.Simple(table, RouteKind.BroadcastOutside, isWrite: true) with { OtherNodesSql = others, WaitsForMoves = true }
                    : Broadcast(table, placed) with { OtherNodesSql = others };
            case StatementKind.OtherDdl when table.Tables.Length > 0:
                return OtherDdl(shape, table, placed);
            case StatementKind.AlterTable or StatementKind.DropTable or StatementKind.CreateIndex:
                return RoutePlanner.Simple(table, RouteKind.Home, isWrite: true) with { ChangesSchema = table.Tables.Length > 0 };
            default:
                return null;
        }
    }

    private static RoutePlan Copy(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        var copy = shape.Copy!;
        if (copy.Relation is not { } relation || placed[relation] is not { } target || placed.Length > 1)
        {
            return RoutePlanner.Refuse(table, RoutingErrors.Unsupported);
        }

        var isUtf8 = copy.Encoding is null || copy.Encoding.ToUpperInvariant() is "UTF8" or "UTF-8" or "UNICODE";
        if (!copy.IsStdio || copy.HasWhere || copy.HasUnknownOptions || !isUtf8)
        {
            return RoutePlanner.Refuse(table, RoutingErrors.CopyFormat);
        }

        if (target.Placement == TablePlacement.Replicated)
        {
            return RoutePlanner.Simple(table, RouteKind.CopyReplicated, isWrite: true) with { Tables = [target] };
        }

        var namesKey = target.KeyColumns.All(k => copy.Columns.IsEmpty ? !target.Columns[k].IsGenerated : copy.Columns.Contains(target.Columns[k].Name));

        // FORCE_NOT_NULL makes an empty key of what reads as NULL here.
        return namesKey && !copy.HasForceNotNull
            ? RoutePlanner.Simple(table, RouteKind.CopySharded, isWrite: true) with { Tables = [target], GroupId = target.GroupId }
            : RoutePlanner.Refuse(table, RoutingErrors.CopyFormat);
    }

    private static RoutePlan CreateTable(StatementShape shape, RoutingTable table, PlacedTable?[] placed, bool defaultSearchPath)
    {
        foreach (var name in shape.Utility?.Names ?? [])
        {
            var resolved = RelationResolver.Resolve(table, name.Schema, name.Name, defaultSearchPath, out _);
            if (resolved != RelationClass.Unsharded && shape.Utility!.IsTemporary)
            {
                return RoutePlanner.Refuse(table, RoutingErrors.TempShadow);
            }

            if (resolved == RelationClass.Placed)
            {
                // It exists: the home node says so, or skips it under IF NOT EXISTS.
                return RoutePlanner.Simple(table, RouteKind.Home, isWrite: true);
            }
        }

        if (shape.CreatesPartition && placed.Any(p => p is not null))
        {
            return shape.Utility!.IsTemporary || shape.Relations.Any(r => r.Role == RelationRole.Referenced)
                ? RoutePlanner.Refuse(table, RoutingErrors.PartitionForm)
                : Broadcast(table, placed);
        }

        if (shape.Created is not null && placed.Any(p => p is { Placement: TablePlacement.Sharded }))
        {
            // Whether its query can be answered is seen when it runs.
            return RoutePlanner.Simple(table, RouteKind.CreateAs, isWrite: true) with { Tables = [.. placed.OfType<PlacedTable>().Distinct()] };
        }

        if (placed.Any(p => p is not null) && shape.Relations.All(r => placed[r.Index] is null || r.Role == RelationRole.Referenced))
        {
            return AtHome(table, placed);
        }

        // Without rows it only takes the names and types of columns.
        return placed.Any(p => p is not null) && !shape.CreatesEmpty ? RoutePlanner.Refuse(table, RoutingErrors.Unsupported) : RoutePlanner.Simple(table, RouteKind.Home, isWrite: true);
    }

    private static RoutePlan OnTables(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        var utility = shape.Utility;
        if (shape.Kind == StatementKind.AlterTable && shape.Relations.All(r => placed[r.Index] is null || r.Role == RelationRole.Referenced))
        {
            return AtHome(table, placed);
        }

        if (shape.ChangesPartitions)
        {
            return shape.ForbidsTransactionBlock ? RoutePlanner.Refuse(table, RoutingErrors.PartitionForm)
                : placed.All(p => p is not null && IsPlacedLike(p, placed[0]!)) ? Broadcast(table, placed)
                : RoutePlanner.Refuse(table, RoutingErrors.Partition);
        }

        if (shape.Kind == StatementKind.AlterTable)
        {
            var text = shape.Text.ToLowerInvariant();
            if (RefusedAlterations.Any(a => text.Contains(a, StringComparison.Ordinal)) || shape.Relations.Any(r => placed[r.Index] is null && r.Role != RelationRole.Referenced))
            {
                return RoutePlanner.Refuse(table, RoutingErrors.Unsupported);
            }
        }

        var isMixed = shape.Kind != StatementKind.AlterTable && placed.Any(p => p is null);
        string? others = null;
        if (shape.Kind == StatementKind.DropTable)
        {
            others = $"DROP TABLE IF EXISTS {Names(placed.OfType<PlacedTable>())}{(utility is { IsCascade: true } ? " CASCADE" : "")}";
        }
        else if (isMixed)
        {
            if (shape.Kind != StatementKind.Truncate || utility is { IsCascade: true })
            {
                return RoutePlanner.Refuse(table, RoutingErrors.MixedUtility);
            }

            others = $"TRUNCATE TABLE {Names(placed.OfType<PlacedTable>())}";
        }

        if (shape.Kind == StatementKind.CreateIndex && shape.ForbidsTransactionBlock && shape.Text.StartsWith("create unique", StringComparison.OrdinalIgnoreCase)
            && placed.Any(p => p is { Placement: TablePlacement.Sharded }))
        {
            // It cannot be taken back with a transaction when it turns out not to contain the key.
            return RoutePlanner.Refuse(table, RoutingErrors.Unsupported);
        }

        if (shape.ForbidsTransactionBlock || shape.Kind == StatementKind.Vacuum)
        {
            return RoutePlanner.Simple(table, RouteKind.BroadcastOutside, isWrite: true) with
            {
                Tables = [.. placed.OfType<PlacedTable>().Distinct()],
                WaitsForMoves = shape.Kind == StatementKind.CreateIndex,
            };
        }

        var plan = Broadcast(table, placed) with { OtherNodesSql = others };
        return shape.Kind is StatementKind.Truncate or StatementKind.Lock ? plan with { ChangesSchema = false } : plan;
    }

    // A partition's rows are where its parent's rows of the same key are.
    private static bool IsPlacedLike(PlacedTable table, PlacedTable other) =>
        table.Placement == other.Placement && table.GroupId == other.GroupId
        && table.KeyColumns.Select(k => table.Columns[k].Name).SequenceEqual(other.KeyColumns.Select(k => other.Columns[k].Name));

    private static RoutePlan OtherDdl(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        var home = RoutePlanner.Simple(table, RouteKind.Home, isWrite: true) with { ChangesSchema = true };
        if (shape.Text.StartsWith("create rule", StringComparison.OrdinalIgnoreCase) || shape.Text.StartsWith("create or replace rule", StringComparison.OrdinalIgnoreCase))
        {
            // A rule adds statements on other tables that nobody would route.
            return placed.Any(p => p is not null) ? RoutePlanner.Refuse(table, RoutingErrors.Unsupported) : home;
        }

        if (shape.Utility?.Object == UtilityObject.Role && table.Nodes.Length > 1)
        {
            // Who may log in and belongs to whom is the same on every node: there is a pool for each user on each of them.
            return RoutePlanner.Simple(table, RouteKind.BroadcastInTransaction, isWrite: true);
        }

        if (shape.Utility is { } utility && table.Nodes.Length > 1 && SharedDdl.TryPlan(shape, utility, table, placed) is { } shared)
        {
            return shared;
        }

        if (placed.All(p => p is null) || shape.Utility?.Object is UtilityObject.View or UtilityObject.MaterializedView or UtilityObject.Function)
        {
            return home;
        }

        return placed.Any(p => p is null) ? RoutePlanner.Refuse(table, RoutingErrors.MixedUtility) : Broadcast(table, placed);
    }

    // Each node defers its own checks. A named constraint may be one of an unsharded table, which the others do not have.
    private static RoutePlan Constraints(StatementShape shape, RoutingTable table) => RoutePlanner.Simple(table, RouteKind.BroadcastInTransaction, isWrite: true) with
    {
        OtherNodesSql = shape.Relations.IsEmpty ? null
            : string.Concat(shape.Relations.Select(r => (r.Schema, r.Name)).Distinct().Select(n => "DO " + SqlIdentifier.Literal(
                $"BEGIN SET CONSTRAINTS {Names([n])} {(shape.DefersConstraints == true ? "DEFERRED" : "IMMEDIATE")}; EXCEPTION WHEN undefined_object THEN NULL; END") + ";")),
    };

    // An unsharded table that references placed ones.
    private static RoutePlan AtHome(RoutingTable table, PlacedTable?[] placed) => Broadcast(table, placed) with { IsHomeOnly = true, WaitsForMoves = false };

    private static RoutePlan Broadcast(RoutingTable table, PlacedTable?[] placed) =>
        RoutePlanner.Simple(table, RouteKind.BroadcastInTransaction, isWrite: true) with
        {
            Tables = [.. placed.OfType<PlacedTable>().Distinct()],
            WaitsForMoves = true,
            ChangesSchema = true,
        };

    private static string Names(IEnumerable<PlacedTable> tables) => string.Join(", ", tables.Select(t => t.Name.ToString()).Distinct());

    private static string Names(IEnumerable<(string? Schema, string Name)> names) => string.Join(
        ", ", names.Select(n => n.Schema is null ? SqlIdentifier.Quote(n.Name) : $"{SqlIdentifier.Quote(n.Schema)}.{SqlIdentifier.Quote(n.Name)}"));
}
