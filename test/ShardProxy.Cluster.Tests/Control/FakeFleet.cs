using System.Collections.Immutable;
using System.Diagnostics;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// One proxy as the control plane sees it, without a proxy: routes by the published table, holds new work on a range that is cutting
/// over, and reports drained when the work begun earlier has ended.
/// </summary>
internal sealed class FakeFleet : IProxyFleet
{
    private readonly Lock _lock = new();
    private readonly HashSet<Work> _open = [];
    private RoutingTable? _table;
    private TaskCompletionSource _changed = NewSource();

    /// <summary>Longest time one piece of work was held, in milliseconds.</summary>
    public double LongestHoldMs { get; private set; }

    /// <summary>What statements are said to wait for.</summary>
    public ImmutableArray<int> MovesInTheWay { get; set; } = [];

    public RoutingTable Table => _table ?? throw new InvalidOperationException("nothing published yet");

    /// <summary>Waits while the range of the hash is held; the work counts as open until disposed.</summary>
    public async Task<Work> EnterAsync(int groupId, long hash, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                var range = Table.Group(groupId).Locate(hash);
                if (Table.MoveOf(range.Id)?.IsHeld != true)
                {
                    LongestHoldMs = Math.Max(LongestHoldMs, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                    var work = new Work(this, range.Id, range.NodeId, Table.Epoch);
                    _open.Add(work);
                    return work;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_table is null || table.Epoch > _table.Epoch)
            {
                _table = table;
            }

            Signal();
        }

        using var limit = new CancellationTokenSource(deadline);
        while (true)
        {
            Task changed;
            int blockers;
            lock (_lock)
            {
                blockers = _open.Count(w => w.Epoch < table.Epoch && (scope.RangeIds.Contains(w.RangeId) || (scope.AllEarlierStatements && scope.RangeIds.IsEmpty)));
                changed = _changed.Task;
            }

            if (blockers == 0 || limit.IsCancellationRequested)
            {
                return [new EpochReport("test", table.Epoch, blockers == 0, blockers, 0)];
            }

            await Task.WhenAny(changed, Task.Delay(Timeout.Infinite, limit.Token));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(_open.Where(w => w.RangeId == rangeId).Select(w => (long)Stopwatch.GetElapsedTime(w.Started).TotalMilliseconds).DefaultIfEmpty().Max());
        }
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Signal()
    {
        _changed.TrySetResult();
        _changed = NewSource();
    }

    internal sealed class Work(FakeFleet fleet, int rangeId, int nodeId, long epoch) : IDisposable
    {
        public int RangeId { get; } = rangeId;

        public int NodeId { get; } = nodeId;

        public long Epoch { get; } = epoch;

        public long Started { get; } = Stopwatch.GetTimestamp();

        public void Dispose()
        {
            lock (fleet._lock)
            {
                fleet._open.Remove(this);
                fleet.Signal();
            }
        }
    }
}
