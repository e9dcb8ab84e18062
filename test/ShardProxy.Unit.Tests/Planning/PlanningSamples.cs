using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Workload;

namespace ShardProxy.Unit.Tests.Planning;

/// <summary>Small routing tables and windows for planning tests.</summary>
internal static class PlanningSamples
{
    public const int Group = 1;

    public static readonly DateTimeOffset Epoch = new(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// One group cut into equal ranges; range i (from 0) has id i + 1 and lies on <paramref name="owners"/>[i].
    /// </summary>
    public static RoutingTable Table(int nodes, double capacity, params int[] owners)
    {
        var ranges = owners.Select((owner, i) => new ShardRange(
            i + 1,
            Group,
            BucketMap.FirstHash(i * BucketMap.BucketsPerGroup / owners.Length),
            i == owners.Length - 1 ? null : BucketMap.FirstHash((i + 1) * BucketMap.BucketsPerGroup / owners.Length),
            owner));
        return Table(1, nodes, capacity, [.. ranges]);
    }

    public static RoutingTable Table(long epoch, int nodes, double capacity, ImmutableArray<ShardRange> ranges, params ImmutableArray<RangeMove> moves) => new(
        epoch,
        1,
        [.. Enumerable.Range(1, nodes).Select(n => new Node(n, $"node{n}", "127.0.0.1", 5000 + n, capacity, n == 1))],
        [new TableGroup(Group, "accounts", ShardingMethod.Hash, [KeyType.Int8], ranges)],
        [],
        moves,
        [],
        []);

    /// <summary>A window with the given calls in each bucket.</summary>
    public static WorkloadWindow Window(DateTimeOffset start, TimeSpan length, Func<int, double> calls, RoutingTable? table = null, string proxy = "p1")
    {
        var buckets = Enumerable.Range(0, BucketMap.BucketsPerGroup)
            .Select(b => new BucketLoad(Group, b, (long)Math.Round(calls(b)), 0, 0, 0, (long)Math.Round(calls(b)) * 100))
            .Where(b => b.Calls > 0)
            .ToImmutableArray();
        var nodes = table is null
            ? []
            : buckets.GroupBy(b => table.Group(Group).Locate(BucketMap.FirstHash(b.Bucket)).NodeId)
                .Select(g => new NodeLoad(g.Key, g.Sum(b => b.Calls), 0, 0, 0, g.Sum(b => b.BusyMicros), 0, 100, 200, 300))
                .ToImmutableArray();
        return new WorkloadWindow(proxy, start, length, buckets, nodes);
    }
}
