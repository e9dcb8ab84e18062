using System.Collections.Concurrent;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Routing;

/// <summary>All sessions' activity, and the barriers that wait on it.</summary>
public sealed class ActivityBoard(RoutingTableHolder holder, TimeProvider time)
{
    private readonly ConcurrentDictionary<SessionActivity, byte> _sessions = new();
    private TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waiters;

    public RoutingTableHolder Holder { get; } = holder;

    public TimeProvider Time { get; } = time;

    /// <summary>See <see cref="DataPathOptions.TrustsOldPlans"/>.</summary>
    internal bool TrustsOldPlans { get; init; }

    /// <summary>Adds a session; remove it by <see cref="Remove"/> when it ends.</summary>
    public SessionActivity Add()
    {
        var activity = new SessionActivity(this);
        _sessions[activity] = 0;
        return activity;
    }

    public void Remove(SessionActivity activity)
    {
        _sessions.TryRemove(activity, out _);
        Signal();
    }

    /// <summary>
    /// Publishes a table and waits until the scope is drained or the deadline has passed. See <see cref="IProxyFleet.PublishAsync"/>.
    /// </summary>
    public async ValueTask<EpochReport> PublishAsync(
        string proxyId, RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
    {
        Holder.Publish(table);
        var ranges = scope.RangeIds.Select(id => (id, table.FindRange(id)?.GroupId ?? 0)).ToArray();
        var query = new BarrierQuery(table.Epoch, scope.AllEarlierStatements, ranges);
        var started = Time.GetTimestamp();
        Interlocked.Increment(ref _waiters);
        try
        {
            while (true)
            {
                // The signal is taken before the scan: whatever ends after the scan completes it.
                var progress = Volatile.Read(ref _progress).Task;
                var (blockers, oldestMs) = Scan(query);
                if (blockers == 0)
                {
                    return new EpochReport(proxyId, table.Epoch, true, 0, 0);
                }

                var left = deadline - Time.GetElapsedTime(started);
                if (left <= TimeSpan.Zero)
                {
                    return new EpochReport(proxyId, table.Epoch, false, blockers, oldestMs);
                }

                try
                {
                    await progress.WaitAsync(left, Time, cancellationToken).ConfigureAwait(false);
                }
                catch (TimeoutException)
                {
                    // The next round reports the blockers.
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }

    /// <summary>Age of the oldest open transaction that touched the range; 0 when there is none.</summary>
    public long OldestOnRangeMs(int rangeId)
    {
        var groupId = Holder.Current.FindRange(rangeId)?.GroupId ?? 0;
        var oldest = 0L;
        foreach (var (session, _) in _sessions)
        {
            oldest = Math.Max(oldest, session.AgeOnRangeMs(rangeId, groupId));
        }

        return oldest;
    }

    /// <summary>Wakes barriers; free when none waits.</summary>
    internal void Signal()
    {
        if (Volatile.Read(ref _waiters) == 0)
        {
            return;
        }

        Interlocked.Exchange(ref _progress, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    private (int Blockers, long OldestMs) Scan(BarrierQuery query)
    {
        var blockers = 0;
        var oldest = 0L;
        foreach (var (session, _) in _sessions)
        {
            if (session.Blocks(query, out var ageMs))
            {
                blockers++;
                oldest = Math.Max(oldest, ageMs);
            }
        }

        return (blockers, oldest);
    }
}
