using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Backend;

/// <summary>
/// Estimates each range's rows and bytes: a table's size on a node is shared among the ranges of its group there by their width
/// in the hash space, which a good hash fills evenly. Results are kept for a while, since every estimate asks every node.
/// </summary>
public sealed class RangeSizeEstimator : IRangeStatistics, IDisposable
{
    private readonly ITopologyView _topology;
    private readonly ITableSizeSource _source;
    private readonly TimeProvider _time;
    private readonly TimeSpan _keepFor;
    private readonly SemaphoreSlim _reading = new(1, 1);
    private ImmutableArray<TableSize> _sizes = [];
    private long? _readAt;

    public RangeSizeEstimator(ITopologyView topology, ITableSizeSource source, TimeProvider time, TimeSpan keepFor)
    {
        _topology = topology;
        _source = source;
        _time = time;
        _keepFor = keepFor;
    }

    public async ValueTask<FrozenDictionary<int, RangeSize>> SizesAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_readAt is not { } readAt || _time.GetElapsedTime(readAt) >= _keepFor)
            {
                _sizes = await _source.ReadAsync(cancellationToken).ConfigureAwait(false);
                _readAt = _time.GetTimestamp();
            }

            return Estimate(_topology.Current, _sizes);
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <summary>The pure part: sizes of tables on nodes to sizes of ranges.</summary>
    public static FrozenDictionary<int, RangeSize> Estimate(RoutingTable routing, ImmutableArray<TableSize> sizes)
    {
        var groupOf = routing.Tables
            .Where(t => t.Placement == TablePlacement.Sharded)
            .ToDictionary(t => t.Name, t => t.GroupId);
        var onNode = new Dictionary<(int Group, int Node), (double Rows, double Bytes)>();
        foreach (var size in sizes)
        {
            if (groupOf.TryGetValue(size.Table, out var group))
            {
                var sum = onNode.GetValueOrDefault((group, size.NodeId));
                onNode[(group, size.NodeId)] = (sum.Rows + size.Rows, sum.Bytes + size.Bytes);
            }
        }

        var estimates = new Dictionary<int, RangeSize>();
        foreach (var group in routing.Groups)
        {
            foreach (var ranges in group.Ranges.GroupBy(r => r.NodeId))
            {
                if (!onNode.TryGetValue((group.Id, ranges.Key), out var sum))
                {
                    continue;
                }

                var width = ranges.Sum(Width);
                foreach (var range in ranges)
                {
                    var share = Width(range) / width;
                    estimates[range.Id] = new RangeSize((long)Math.Round(sum.Rows * share), (long)Math.Round(sum.Bytes * share));
                }
            }
        }

        return estimates.ToFrozenDictionary();
    }

    public void Dispose() => _reading.Dispose();

    private static double Width(ShardRange range) => (range.To is { } to ? (double)to : -(double)long.MinValue) - range.From;
}
