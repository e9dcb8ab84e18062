using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Views;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>What a statement is held for, as SHOW REDIRECTIONS tells it afterwards.</summary>
/// <param name="RangeId">The range that moves, or 0 when a table changes its placement.</param>
/// <param name="From">The node that has the range, or the table's rows, while the statement is held.</param>
/// <param name="Reason">One of <see cref="RedirectionReasons"/>.</param>
internal readonly record struct HoldCause(int RangeId, string? From, string Reason)
{
    /// <summary>Finds it. To be called right after the dispatch said that the statement has to be held: its ranges are still noted.</summary>
    public static HoldCause Of(Session session, in Dispatch held)
    {
        var (plan, table) = (held.Plan, held.Table);
        foreach (var move in table.Moves)
        {
            if (move.IsHeld && session.Touches.Touches(move.RangeId, move.GroupId) && !session.Activity.HasTouched(move.RangeId, move.GroupId))
            {
                return new HoldCause(move.RangeId, Owner(table, move.RangeId), RedirectionReasons.Held);
            }
        }

        foreach (var move in table.Moves)
        {
            if (StatementDispatch.WaitsFor(plan, move))
            {
                return new HoldCause(move.RangeId, Owner(table, move.RangeId), RedirectionReasons.Waited);
            }
        }

        return new HoldCause(0, table.HomeNode.Name, RedirectionReasons.Waited);
    }

    /// <summary>The statement goes on, or has been refused.</summary>
    public void Note(Session session, StatementShape shape, in Dispatch dispatch, TimeSpan held)
    {
        if (session.Fence is not null)
        {
            // One row a statement: it is the one that the gate had stopped before.
            return;
        }

        var isTimeout = ReferenceEquals(dispatch.Error, RoutingErrors.HoldTimeout);
        var to = isTimeout ? null
            : RangeId != 0 ? Owner(dispatch.Table, RangeId)
            : dispatch.NodeId != 0 && dispatch.Plan.Kind is RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey ? dispatch.Table.Node(dispatch.NodeId).Name : null;
        session.Services.Redirections.Add(RangeId, shape, From, to, isTimeout ? RedirectionReasons.HoldTimeout : Reason, held);
    }

    /// <summary>Name of the node that owns a range, or null when there is none of that id.</summary>
    public static string? Owner(RoutingTable table, int rangeId) => table.FindRange(rangeId) is { } range ? table.Node(range.NodeId).Name : null;
}
