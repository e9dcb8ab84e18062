using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Lets a plain read go to the node that its range is moving to, within the bound on staleness that the client has set, once the copy there has caught up. The read is
/// registered on its range like any other, under a routing table whose move allows it: so a cutover waits for it, and a clean-up of the copy does. A read
/// that is pinned to one range by its keys sees no rows of others there. What is not plain goes to the owner.
/// </summary>
internal static class ReadAhead
{
    /// <summary>Whether it goes; <paramref name="move"/> then says from which node to which.</summary>
    public static bool MayGo(Session session, StatementShape shape, RoutePlan plan, RoutingTable table, out RangeMove move)
    {
        move = FindMove(session, table)!;
        return move is not null && session.ReadStaleness is > 0 and var bound && IsPlain(session, shape, plan) && session.Services.ReadAhead.IsFresh(move, bound, OwnWritesUntil(session));
    }

    /// <summary>The move whose range is the only one that the statement at hand touches, if its copy has caught up and its owner is not changing just now.</summary>
    public static RangeMove? FindMove(Session session, RoutingTable table)
    {
        foreach (var candidate in table.Moves)
        {
            if (candidate.AllowsReadAhead && !candidate.IsHeld && session.Touches.Count == 1 && session.Touches.Touches(candidate.RangeId, 0)
                && table.FindRange(candidate.RangeId)?.NodeId == candidate.SourceNodeId)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>A SELECT of sharded tables outside any transaction, an implicit one of several statements included; nothing the session holds on its server matters to it.</summary>
    public static bool IsPlain(Session session, StatementShape shape, RoutePlan plan)
    {
        if (shape.Kind != StatementKind.Select || plan.IsWrite || shape.HasRowLocking || shape.Prepared is not null || SimpleQuery.MayWrite(shape)
            || session.Transaction.State != BlockState.Idle || session.IsMidway || session.Pinned is not null)
        {
            return false;
        }

        foreach (var placed in plan.Tables)
        {
            if (placed.Placement != TablePlacement.Sharded)
            {
                return false;
            }
        }

        return true;
    }

    // A session reads its own writes: whatever it has run before is over now, so a copy that holds everything as of a later moment than this holds it.
    private static long OwnWritesUntil(Session session)
    {
        if (session.HasWritten)
        {
            session.HasWritten = false;
            session.WroteUntil = session.Services.Time.GetTimestamp();
        }

        return session.WroteUntil;
    }
}
