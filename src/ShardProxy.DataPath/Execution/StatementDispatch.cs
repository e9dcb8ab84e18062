using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>A statement that may run now, with the table it was routed by.</summary>
/// <param name="Plan">Its plan.</param>
/// <param name="Table">The routing table it is registered under.</param>
/// <param name="NodeId">The node, for plans that run on one.</param>
/// <param name="Hash">The hash of its first key, if it has one.</param>
/// <param name="Error">Set when it is refused; nothing is registered then.</param>
internal readonly record struct Dispatch(RoutePlan Plan, RoutingTable Table, int NodeId, long? Hash, ShardProxyError? Error)
{
    /// <summary>For plans that run on several nodes by key: those that may have rows of the keys; all that have rows of the group when that is not known.</summary>
    public IReadOnlyList<int> Owners
    {
        get => field ?? [.. Table.Group(Plan.GroupId).Ranges.Select(r => r.NodeId).Distinct()];
        init;
    }

    /// <summary>For a split INSERT the node of each row; for rows that move the one they go to.</summary>
    public int[]? RowNodes { get; init; }
}

/// <summary>
/// Routes a statement and registers it with the barriers, waiting while a range it needs is being cut over or a table changes its
/// placement. After it returns without error, <see cref="SessionActivity.EndStatement"/> is owed.
/// </summary>
internal static class StatementDispatch
{
    /// <summary>The fast path: no wait. Returns false when the statement has to be held; <paramref name="dispatch"/> then says by which plan and table.</summary>
    public static bool TryDispatch(Session session, StatementShape shape, in KeyInput input, out Dispatch dispatch, out RoutingTable table)
    {
        while (true)
        {
            table = session.Services.Holder.Current;
            var plan = session.IsSharded && !(TransparentCommands.Handles(shape) && session.IsTransparent)
                ? RoutePlanner.PlanFor(shape, table, session.HasDefaultSearchPath)
                : RoutePlanner.Simple(table, RouteKind.Home, !shape.IsReadOnly);
            if (ReferenceEquals(shape, StatementShape.Unread) && !session.IsTransparent)
            {
                plan = RoutePlanner.Refuse(table, RoutingErrors.Unparsable);
            }

            if (shape.Prepared is not null && StatementNames.Refusal(session, shape, table) is { } refusal)
            {
                plan = RoutePlanner.Refuse(table, refusal);
            }

            if (session.Unseen is { } unseen && (unseen.IsPartitionNamedBy(session, shape) ? RoutingErrors.UnseenPartition
                    : unseen.IsNamedBy(session, shape, table) ? RoutingErrors.UnseenCode : null) is { } unknown)
            {
                plan = RoutePlanner.Refuse(table, unknown);
            }

            if (shape.Utility is not null)
            {
                UnseenCode.Note(session, shape, table);
            }

            if (shape.Kind == StatementKind.DeclareCursor && session.OpenResults?.FindCursor(CursorNodes.NameIn(shape)) is not null)
            {
                plan = RoutePlanner.Refuse(table, SessionErrors.CursorExists);
            }

            var nodeId = 0;
            long? hash = null;
            List<int>? owners = null;
            int[]? rowNodes = null;
            RangeMove? ahead = null;
            if (plan.IsChanging || ((plan.WaitsForMoves || plan.ReferencingGroups.Length > 0) && HasMoves(session, plan, table)))
            {
                session.Touches.Clear();
                dispatch = new Dispatch(plan, table, 0, null, null);
                return false;
            }

        again:
            session.Touches.Clear();
            switch (plan.Kind)
            {
                case RouteKind.Refuse:
                    dispatch = new Dispatch(plan, table, 0, null, plan.Refusal);
                    return true;
                case RouteKind.DefaultKeys:
                    // Whoever can make the values has done so before.
                    dispatch = new Dispatch(plan, table, 0, null, RoutingErrors.UnprovenKey);
                    return true;
                case RouteKind.ByKey:
                    if (UsesTextKey(plan) && !HasUtf8(session))
                    {
                        dispatch = new Dispatch(plan, table, 0, null, RoutingErrors.Encoding);
                        return true;
                    }

                    switch (Router.Route(plan, input, table, session.Activity, session.Touches, out nodeId, out hash, out var error))
                    {
                        case KeyRoute.Hold:
                            dispatch = new Dispatch(plan, table, 0, null, null);
                            return false;
                        case KeyRoute.Refused when plan.Otherwise is { } several:
                            owners = Router.Owners(plan, input, table);
                            (plan, hash) = (owners is not null && several.Kind == RouteKind.Gather ? several with { OnlyNodes = owners } : several, null);
                            goto again;
                        case KeyRoute.Refused:
                            dispatch = new Dispatch(plan, table, 0, null, error);
                            return true;
                        case KeyRoute.Node when !table.Moves.IsEmpty && ReadAhead.MayGo(session, shape, plan, table, out ahead):
                            nodeId = ahead.TargetNodeId;
                            break;
                        default:
                            ahead = null;
                            break;
                    }

                    break;
                case RouteKind.CopySharded or RouteKind.Gather or RouteKind.Enclosed or RouteKind.SplitInsert or RouteKind.NodeWrites or RouteKind.SuppliedWrite or RouteKind.MoveRows or RouteKind.PullInsert or RouteKind.WritingWith or RouteKind.CreateAs when !HasUtf8(session):
                    dispatch = new Dispatch(plan, table, 0, null, RoutingErrors.Encoding);
                    return true;
                case RouteKind.Home or RouteKind.ReplicatedWrite or RouteKind.CopyReplicated:
                    nodeId = table.HomeNode.Id;
                    break;
                case RouteKind.AnyNode:
                    nodeId = session.Transaction.Participants.Count > 0 && table.FindNode(session.Transaction.Participants[0].Node.Name) is { } joined ? joined.Id : table.HomeNode.Id;
                    break;
                case RouteKind.SplitInsert or RouteKind.MoveRows:
                    rowNodes = Router.RouteRows(plan, input, table, session.Touches);
                    if (rowNodes is null)
                    {
                        dispatch = new Dispatch(plan, table, 0, null, RoutingErrors.UnprovenKey);
                        return true;
                    }

                    if (plan.Kind == RouteKind.MoveRows)
                    {
                        // The rows may be in any range.
                        TouchGroups(session, plan);
                    }

                    if (IsHeld(session, table))
                    {
                        dispatch = new Dispatch(plan, table, 0, null, null);
                        return false;
                    }

                    nodeId = table.HomeNode.Id;
                    break;
                default:
                    if (plan.Kind == RouteKind.SuppliedWrite)
                    {
                        // Those of its target, which is the home node's if it is in no group.
                        owners = plan.GroupId == 0 ? [table.HomeNode.Id] : plan.Lookups.IsEmpty ? null : Router.Owners(plan, input, table);
                    }

                    TouchGroups(session, plan);
                    if (IsHeld(session, table))
                    {
                        dispatch = new Dispatch(plan, table, 0, null, null);
                        return false;
                    }

                    nodeId = table.HomeNode.Id;
                    break;
            }

            if (session.Activity.TryBeginStatement(table, session.Touches))
            {
                dispatch = new Dispatch(plan, table, nodeId, hash, null);
                if (ahead is not null)
                {
                    session.Services.Redirections.Add(
                        ahead.RangeId, shape, table.Node(ahead.SourceNodeId).Name, table.Node(ahead.TargetNodeId).Name, RedirectionReasons.ReadAhead, TimeSpan.Zero);
                }
                else if (!session.HasWritten && SimpleQuery.MayWrite(shape))
                {
                    session.HasWritten = true;
                }

                if (plan.Kind == RouteKind.ByKey && !table.Moves.IsEmpty)
                {
                    session.Services.Shadows.Offer(session, shape, plan, table, input, hash);
                }

                if (rowNodes is not null || owners is not null)
                {
                    dispatch = owners is null ? dispatch with { RowNodes = rowNodes } : dispatch with { RowNodes = rowNodes, Owners = owners };
                }

                return true;
            }
        }
    }

    /// <summary>Routes, waiting as long as the options allow. Text and parameters are read again after every wait.</summary>
    public static ValueTask<Dispatch> DispatchAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> text, LiteralList literals, BoundParameters? parameters) =>
        TryDispatch(session, shape, new KeyInput(text.Span, literals, parameters, session.Relay.Told), out var dispatch, out _)
            ? new ValueTask<Dispatch>(dispatch)
            : WaitAsync(session, shape, text, literals, parameters, dispatch);

    /// <summary>A table of the statement changes its placement at this time, and the statement has to wait for that.</summary>
    public static bool IsChanging(Session session, StatementShape shape) =>
        session.IsSharded && !session.IsTransparent && RoutePlanner.PlanFor(shape, session.Services.Holder.Current, session.HasDefaultSearchPath).IsChanging;

    /// <summary>
    /// Waits while a table of the statement changes its placement. To be called before a server reads the statement: by that alone it takes a lock on the
    /// table, to the end of its transaction, and the change would wait for the statement that waits for it.
    /// </summary>
    /// <exception cref="ShardProxyException">It has waited as long as the options allow.</exception>
    public static ValueTask UntilPlacedAsync(Session session, StatementShape shape) =>
        IsChanging(session, shape) ? WaitForPlaceAsync(session, shape) : ValueTask.CompletedTask;

    private static async ValueTask WaitForPlaceAsync(Session session, StatementShape shape)
    {
        // No range has been touched yet by this one.
        session.Touches.Clear();
        var placed = await WaitAsync(session, shape, Plan().Dispatch, Plan).ConfigureAwait(false);
        if (placed.Error is { } error)
        {
            throw new ShardProxyException(error);
        }

        (bool IsRouted, Dispatch Dispatch) Plan()
        {
            var table = session.Services.Holder.Current;
            var plan = RoutePlanner.PlanFor(shape, table, session.HasDefaultSearchPath);
            return (!plan.IsChanging, new Dispatch(plan, table, 0, null, null));
        }
    }

    private static ValueTask<Dispatch> WaitAsync(
        Session session, StatementShape shape, ReadOnlyMemory<byte> text, LiteralList literals, BoundParameters? parameters, Dispatch held) => WaitAsync(
        session,
        shape,
        held,
        () =>
        {
            var isRouted = TryDispatch(session, shape, new KeyInput(text.Span, literals, parameters, session.Relay.Told), out var dispatch, out _);
            return (isRouted, dispatch);
        });

    // Tries again with every newer table.
    private static async ValueTask<Dispatch> WaitAsync(Session session, StatementShape shape, Dispatch held, Func<(bool IsRouted, Dispatch Dispatch)> attempt)
    {
        var services = session.Services;
        var started = services.Time.GetTimestamp();
        var cause = HoldCause.Of(session, held);
        var table = held.Table;
        session.SetState("held");
        services.Counters.BeginHold();
        try
        {
            while (true)
            {
                var left = services.Options.HoldTimeout - services.Time.GetElapsedTime(started);
                if (left <= TimeSpan.Zero)
                {
                    var refused = new Dispatch(RoutePlanner.Refuse(table, RoutingErrors.HoldTimeout), table, 0, null, RoutingErrors.HoldTimeout);
                    cause.Note(session, shape, refused, services.Time.GetElapsedTime(started));
                    return refused;
                }

                try
                {
                    await services.Holder.WaitForNewerAsync(table.Epoch).WaitAsync(left, services.Time, session.Connection.Closed).ConfigureAwait(false);
                }
                catch (TimeoutException)
                {
                    continue;
                }
                catch (OperationCanceledException)
                {
                    throw new ClientGoneException();
                }

                var (isRouted, dispatch) = attempt();
                if (isRouted)
                {
                    cause.Note(session, shape, dispatch, services.Time.GetElapsedTime(started));
                    return dispatch;
                }

                table = dispatch.Table;
            }
        }
        finally
        {
            session.SetState("active");
            services.Counters.AddHeld((long)services.Time.GetElapsedTime(started).TotalMicroseconds);
        }
    }

    private static void TouchGroups(Session session, RoutePlan plan)
    {
        foreach (var placed in plan.Tables)
        {
            if (placed.Placement == TablePlacement.Sharded)
            {
                session.Touches.AddGroup(placed.GroupId);
            }
        }
    }

    // One of the ranges the statement touches is being cut over, and this transaction has not touched it before.
    private static bool IsHeld(Session session, RoutingTable table)
    {
        foreach (var move in table.Moves)
        {
            if (move.IsHeld && session.Touches.Touches(move.RangeId, move.GroupId) && !session.Activity.HasTouched(move.RangeId, move.GroupId))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Statements of that plan wait for the end of that move, whatever keys they have.</summary>
    public static bool WaitsFor(RoutePlan plan, RangeMove move) =>
        (plan.WaitsForMoves && (plan.Tables.IsEmpty || plan.Tables.Any(t => t.GroupId == move.GroupId))) || plan.ReferencingGroups.Contains(move.GroupId);

    private static bool HasMoves(Session session, RoutePlan plan, RoutingTable table)
    {
        var found = false;
        foreach (var move in table.Moves)
        {
            if (WaitsFor(plan, move))
            {
                found = true;
                if (!move.IsUnderWay)
                {
                    session.Services.MoveWishes.Note(move.MigrationId);
                }
            }
        }

        return found;
    }

    private static bool UsesTextKey(RoutePlan plan)
    {
        foreach (var lookup in plan.Lookups)
        {
            foreach (var column in lookup.Table.KeyColumns)
            {
                if (lookup.Table.Columns[column].TypeOid is 25 or 1043)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static bool HasUtf8(Session session) => session.Relay.Told?["client_encoding"] is "UTF8";
}
