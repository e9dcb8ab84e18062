using ShardProxy.DataPath.Execution;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Counts a finished statement once: shape, node, bucket and range.</summary>
internal static class StatementAccounting
{
    /// <summary>Counts it.</summary>
    /// <param name="session">The session; its relay has the statement's rows, bytes and error.</param>
    /// <param name="shape">The statement.</param>
    /// <param name="dispatch">How it was routed.</param>
    /// <param name="node">Where it ran.</param>
    /// <param name="started">Timestamp at which the proxy had read it.</param>
    /// <param name="sent">Timestamp at which it was sent to the server.</param>
    /// <param name="isLast">No other statement was sent with it that is still to be counted.</param>
    public static void Account(Session session, StatementShape shape, in Dispatch dispatch, Node node, long started, long sent, bool isLast = true)
    {
        var time = session.Services.Time;
        var now = time.GetTimestamp();
        var busy = Micros(time, sent, now);
        var wait = Micros(time, started, sent);
        var relay = session.Relay;
        var isError = relay.Error is not null;
        session.Statements++;
        shape.Statistics.Record(busy + wait, relay.Rows, isError);
        var groupId = dispatch.Hash is null ? 0 : dispatch.Plan.GroupId;
        var hash = dispatch.Hash ?? 0;
        var rangeId = groupId == 0 ? 0 : dispatch.Table.Group(groupId).Locate(hash).Id;
        if (relay.FencedRange is { } fenced && (isLast || (dispatch.Plan.IsWrite && rangeId == fenced)))
        {
            relay.FencedRange = null;
            session.Services.Counters.AddRefused(ExecutionErrors.Fenced.Code);
            FencedStatement.NoteRefused(session, shape, fenced, dispatch.Table);
        }

        session.Services.Recorder.Record(node, groupId, rangeId, hash, dispatch.Plan.IsWrite, relay.Rows, relay.Bytes, busy, wait, isError);
    }

    private static long Micros(TimeProvider time, long from, long to) => (to - from) * 1_000_000 / time.TimestampFrequency;
}
