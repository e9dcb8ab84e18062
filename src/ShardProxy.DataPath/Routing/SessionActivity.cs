using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// What one session has in flight, as the barriers see it. A statement registers the ranges it will touch under the lock and
/// only if its routing table is still the current one; a publisher swaps the table first and scans afterwards. So every
/// statement is either seen by the scan or routed by the new table: there is no third case.
/// </summary>
public sealed class SessionActivity(ActivityBoard board)
{
    private readonly Lock _lock = new();
    private readonly TouchSet _touched = new();
    private long _statementEpoch;
    private long _transactionStartedAt;

    // What the last registration changed, so that it can be withdrawn.
    private long _epochBefore;
    private int _touchedBefore;

    /// <summary>
    /// Registers a statement routed by <paramref name="table"/>. False when a newer table is current: route again.
    /// </summary>
    public bool TryBeginStatement(RoutingTable table, TouchSet touches)
    {
        lock (_lock)
        {
            if (!ReferenceEquals(board.Holder.Current, table) && !board.TrustsOldPlans)
            {
                return false;
            }

            _epochBefore = _statementEpoch;
            _touchedBefore = _touched.Count;

            // A pipeline may hold statements of several epochs: the oldest counts.
            _statementEpoch = _statementEpoch == 0 ? table.Epoch : Math.Min(_statementEpoch, table.Epoch);
            if (touches.Count > 0)
            {
                if (_touched.Count == 0)
                {
                    _transactionStartedAt = board.Time.GetTimestamp();
                }

                _touched.AddAll(touches);
            }

            return true;
        }
    }

    /// <summary>
    /// Takes the last registration back: the statement has not been sent and has to wait for a server connection. A statement in that
    /// line is not in flight, and a cutover need not wait for it; it registers again when it has its connection.
    /// </summary>
    public void WithdrawStatement()
    {
        lock (_lock)
        {
            _statementEpoch = _epochBefore;
            _touched.CutTo(_touchedBefore);
        }

        board.Signal();
    }

    /// <summary>True when this session's open transaction has touched the range: it must finish, never be held.</summary>
    public bool HasTouched(int rangeId, int groupId)
    {
        lock (_lock)
        {
            return _touched.Touches(rangeId, groupId);
        }
    }

    /// <summary>The statement is over; the transaction too when <paramref name="transactionEnded"/>.</summary>
    public void EndStatement(bool transactionEnded)
    {
        lock (_lock)
        {
            _statementEpoch = 0;
            if (transactionEnded)
            {
                _touched.Clear();
            }
        }

        board.Signal();
    }

    /// <summary>Whether this session is still in the way of an acknowledgement, and for how long it has been.</summary>
    internal bool Blocks(BarrierQuery query, out long ageMs)
    {
        lock (_lock)
        {
            ageMs = 0;
            var blocks = query.EarlierStatements && _statementEpoch != 0 && _statementEpoch < query.Epoch;
            foreach (var (rangeId, groupId) in query.Ranges)
            {
                if (_touched.Touches(rangeId, groupId))
                {
                    blocks = true;
                }
            }

            if (blocks && _touched.Count > 0)
            {
                ageMs = (long)board.Time.GetElapsedTime(_transactionStartedAt).TotalMilliseconds;
            }

            return blocks;
        }
    }

    /// <summary>Age in milliseconds of the open transaction if it touched the range, else 0.</summary>
    internal long AgeOnRangeMs(int rangeId, int groupId)
    {
        lock (_lock)
        {
            return _touched.Touches(rangeId, groupId) ? Math.Max(1, (long)board.Time.GetElapsedTime(_transactionStartedAt).TotalMilliseconds) : 0;
        }
    }
}
