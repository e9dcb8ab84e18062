using System.Collections.Immutable;
using ShardProxy.Control.Planner;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Workload;
using ShardProxy.Unit.Tests.Planning;

namespace ShardProxy.Unit.Tests.Control.Planner;

/// <summary>A clock, a routing table and an executor in memory: moves end when the test says so.</summary>
internal sealed class SimulatedCluster(RoutingTable table) : IPlanExecutor
{
    public ManualTime Time { get; } = new();

    public RoutingTable Table { get; private set; } = table;

    public List<(DateTimeOffset At, int RangeId, int Target)> Moves { get; } = [];

    public int Splits { get; private set; }

    /// <summary>Set to fail every move.</summary>
    public string? FailWith { get; set; }

    /// <summary>Set to keep moves from ending until it completes.</summary>
    public Task Hold { get; set; } = Task.CompletedTask;

    public ValueTask SplitAsync(int rangeId, long at, CancellationToken cancellationToken)
    {
        Splits++;
        var nextId = Table.Group(PlanningSamples.Group).Ranges.Max(r => r.Id) + 1;
        Change(ranges => ranges.SelectMany(r => r.Id == rangeId
            ? new[] { r with { To = at }, r with { Id = nextId, From = at } }
            : [r]));
        return ValueTask.CompletedTask;
    }

    public async ValueTask<MoveOutcome> MoveAsync(int rangeId, int targetNodeId, CancellationToken cancellationToken)
    {
        await Hold;
        if (FailWith is { } message)
        {
            return new MoveOutcome(false, message);
        }

        Moves.Add((Time.GetUtcNow(), rangeId, targetNodeId));
        Change(ranges => ranges.Select(r => r.Id == rangeId ? r with { NodeId = targetNodeId } : r));
        return new MoveOutcome(true, "moved");
    }

    /// <summary>Load of each node if every bucket carries what <paramref name="load"/> says.</summary>
    public double[] NodeLoads(Func<int, double> load)
    {
        var result = new double[Table.Nodes.Length];
        for (var b = 0; b < BucketMap.BucketsPerGroup; b++)
        {
            result[Table.Group(PlanningSamples.Group).Locate(BucketMap.FirstHash(b)).NodeId - 1] += load(b);
        }

        return result;
    }

    private void Change(Func<ImmutableArray<ShardRange>, IEnumerable<ShardRange>> change) => Table = PlanningSamples.Table(
        Table.Epoch + 1, Table.Nodes.Length, Table.Nodes[0].Capacity, [.. change(Table.Group(PlanningSamples.Group).Ranges)]);

    internal sealed class ManualTime : TimeProvider
    {
        private DateTimeOffset _now = PlanningSamples.Epoch;

        public override DateTimeOffset GetUtcNow() => _now;

        public void Advance(TimeSpan by) => _now += by;
    }
}
