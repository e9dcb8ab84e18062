using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Views;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>A statement that a closed write gate has stopped, until it is planned again.</summary>
/// <param name="RangeId">The range, or 0 when the gate did not say.</param>
/// <param name="From">The node it had gone to as the range's owner.</param>
/// <param name="Since">Timestamp at which it was stopped first.</param>
internal readonly record struct Fence(int RangeId, string? From, long Since);

/// <summary>What follows from the error of a closed write gate (DESIGN section 6): plan again where nothing happened yet, else 40001.</summary>
internal static class FencedStatement
{
    /// <summary>True for the error of a closed write gate.</summary>
    public static bool IsGateError(ErrorFields error) =>
        string.Equals(error.SqlState, GateMarker.SqlState, StringComparison.Ordinal) && error.Constraint.StartsWith(GateMarker.ConstraintName, StringComparison.Ordinal);

    /// <summary>It had no effect and will be planned again.</summary>
    public static void Stop(Session session, ErrorFields error, RoutingTable table)
    {
        var range = GateMarker.RangeOf(error.Constraint);
        session.Fence ??= new Fence(range, HoldCause.Owner(table, range), session.Services.Time.GetTimestamp());
    }

    /// <summary>It cannot be repeated: the client gets 40001.</summary>
    public static void Refuse(Session session, StatementShape shape, ErrorFields error, RoutingTable table)
    {
        session.Fail(ExecutionErrors.Fenced);
        NoteRefused(session, shape, GateMarker.RangeOf(error.Constraint), table);
    }

    /// <summary>The client has got 40001 for it.</summary>
    public static void NoteRefused(Session session, StatementShape shape, int rangeId, RoutingTable table) =>
        session.Services.Redirections.Add(rangeId, shape, HoldCause.Owner(table, rangeId), null, RedirectionReasons.FencedRefused, TimeSpan.Zero);

    /// <summary>It has been planned again, or refused.</summary>
    public static void Release(Session session, StatementShape shape, in Dispatch dispatch)
    {
        if (session.Fence is not { } fence)
        {
            return;
        }

        session.Fence = null;
        var held = session.Services.Time.GetElapsedTime(fence.Since);
        var to = dispatch.Error is null ? HoldCause.Owner(dispatch.Table, fence.RangeId) : null;
        session.Services.Redirections.Add(fence.RangeId, shape, fence.From, to, dispatch.Error is null ? RedirectionReasons.Fenced : RedirectionReasons.HoldTimeout, held);
    }

    /// <summary>Waits for another table than the one it was planned by, a moment at most: the gate may also have been opened again.</summary>
    public static async ValueTask WaitForNewTableAsync(Session session, Dispatch dispatch)
    {
        try
        {
            await session.Services.Holder.WaitForNewerAsync(dispatch.Table.Epoch)
                .WaitAsync(TimeSpan.FromMilliseconds(100), session.Services.Time, session.Connection.Closed).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The gate may have been reopened by an abort: try again as it is.
        }
        catch (OperationCanceledException)
        {
            throw new ClientGoneException();
        }
    }
}
