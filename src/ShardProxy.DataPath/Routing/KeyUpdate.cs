using System.Collections.Immutable;
using System.Text.RegularExpressions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// UPDATEs that assign the shard key. Where the new key belongs to the node that has the rows, it is an UPDATE as any other; else the rows move. The new key
/// has to be a constant: one that depends on the old row would make every row move, in an order that decides about duplicates.
/// </summary>
internal static partial class KeyUpdate
{
    /// <summary>How it runs; null: not at all.</summary>
    /// <param name="shape">An UPDATE that assigns columns of its target's key.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="placed">Per relation its placed table; none is unsharded, all sharded ones are of one group.</param>
    /// <param name="pins">The keys it is pinned to; null when it is not.</param>
    public static RoutePlan? TryPlan(StatementShape shape, RoutingTable table, PlacedTable?[] placed, List<KeyLookup>? pins)
    {
        if (shape.Kind != StatementKind.Update || shape.RestrictableTarget < 0 || placed[shape.RestrictableTarget] is not { Placement: TablePlacement.Sharded } written
            || NewKey(shape.Update!, written, pins) is not { } key)
        {
            return null;
        }

        var moves = TryMove(shape, table, placed, written, key);
        return pins is null ? moves : new RoutePlan
        {
            PlacementVersion = table.PlacementVersion,
            Kind = RouteKind.ByKey,
            GroupId = written.GroupId,
            Lookups = [.. pins, key],
            Tables = [.. placed.OfType<PlacedTable>().Distinct()],
            IsWrite = true,
            Otherwise = moves,
        };
    }

    // What is assigned, and for the rest of the key what it is pinned to.
    private static KeyLookup? NewKey(UpdateSummary update, PlacedTable target, List<KeyLookup>? pins)
    {
        var own = pins is [var only] && ReferenceEquals(only.Table, target) ? only : null;
        var key = ImmutableArray.CreateBuilder<ImmutableArray<KeySource>>();
        for (var k = 0; k < target.KeyColumns.Length; k++)
        {
            var assigned = update.AssignedColumns.IndexOf(target.Columns[target.KeyColumns[k]].Name);
            if (assigned >= 0 && update.Values[assigned] is { } value)
            {
                key.Add([value]);
            }
            else if (assigned < 0 && own is not null && k < own.Alternatives.Length && own.Alternatives[k] is [var kept])
            {
                key.Add([kept]);
            }
            else
            {
                return null;
            }
        }

        return new KeyLookup(target, key.ToImmutable(), IsAssignment: true);
    }

    private static RoutePlan? TryMove(StatementShape shape, RoutingTable table, PlacedTable?[] placed, PlacedTable written, KeyLookup key) =>
        !shape.HasModifyingCte && !shape.HasRowLocking && !CannotMove().IsMatch(shape.Text) && !WritePlanner.NodesMayDiffer(shape)
        && (shape.Relations.Length == 1 || !StatementWords.Has(shape, Returning(), "returning"))
        && shape.Relations.All(r => r.Index == shape.RestrictableTarget || (r.Role == RelationRole.Read && placed[r.Index] is { Placement: TablePlacement.Replicated }))
        && shape.Functions.All(WritePlanner.IsAllowed)
            ? RoutePlanner.Simple(table, RouteKind.MoveRows, isWrite: true) with
            {
                GroupId = written.GroupId,
                Tables = [.. placed.OfType<PlacedTable>().Distinct()],
                Lookups = [key],
            }
            : null;

    [GeneratedRegex(@"^\s*with\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex CannotMove();

    // RETURNING is answered by another statement than the rest: one that knows only the target.
    [GeneratedRegex(@"\breturning\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Returning();
}
