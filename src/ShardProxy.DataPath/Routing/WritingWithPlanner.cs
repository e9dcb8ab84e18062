using System.Collections.Immutable;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Which statements with writes in their WITH may run part after part. In PostgreSQL none of the parts sees what another has written; here each would see what those
/// before it have. So no table that one part writes may be named by a later one, but where both add rows to it.
/// </summary>
internal static class WritingWithPlanner
{
    /// <summary>How it runs; null: not at all.</summary>
    /// <param name="shape">The statement.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="placed">Per relation its placed table.</param>
    /// <param name="refusal">What it is refused with if its parts turn out not to be able to run so.</param>
    public static RoutePlan? TryPlan(StatementShape shape, RoutingTable table, PlacedTable?[] placed, ShardProxyError refusal)
    {
        if (shape.WritingWith is not { } with || shape.Unsupported is not null || shape.HasCurrentOf || shape.Relations.Any(r => r.HasTableSample)
            || !shape.Functions.All(f => WritePlanner.IsNow(f) || (WritePlanner.IsAllowed(f) && !WritePlanner.IsVolatile(f))) || WritePlanner.NodesMayDiffer(shape))
        {
            return null;
        }

        foreach (var written in shape.Relations.Where(r => r.Role != RelationRole.Read))
        {
            if (shape.Relations.Any(r => r.Index != written.Index && r.Name == written.Name && !IsUntouched(shape, with, written, r)))
            {
                return null;
            }
        }

        return RoutePlanner.Simple(table, RouteKind.WritingWith, isWrite: true) with
        {
            Tables = [.. placed.OfType<PlacedTable>().Distinct()],
            Refusal = refusal,
        };
    }

    // A mention of a table (by its last name, wherever it is) that makes no difference to when the table is written.
    private static bool IsUntouched(StatementShape shape, WritingWith with, RelationUse written, RelationUse mention)
    {
        var (writer, reader) = (with.PartOf[written.Index], with.PartOf[mention.Index]);
        if (reader == writer)
        {
            return true;
        }

        if (reader < with.Parts.Length && !with.Parts[reader].IsWrite)
        {
            // A SELECT is read by whichever part names it.
            return false;
        }

        // Two INSERTs get in each other's way in either order. A row that is changed or deleted is out of an INSERT's way only behind that, and PostgreSQL's order is its own.
        return reader < writer || (written.Role == RelationRole.Insert && reader == with.Parts.Length && shape.Insert is { HasOnConflict: false } insert && insert.TargetRelation == mention.Index);
    }
}
