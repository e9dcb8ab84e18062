using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Workload;

namespace ShardProxy.Planning.History;

/// <summary>
/// What was observed, at buckets and in equal bins, so that it survives splits, merges and moves. Bounded in bins and in bytes.
/// What no window covered is a gap and stays one. Not safe for several threads: its owner locks.
/// </summary>
public sealed class LoadHistory(LoadHistoryOptions options)
{
    /// <summary>Bins whose writes, rows and bytes are kept: what views show.</summary>
    private const int DetailedBins = 4;

    private readonly LinkedList<HistoryBin> _bins = [];
    private readonly Dictionary<long, HistoryBin> _byIndex = [];
    private long _bytes;

    public LoadHistoryOptions Options { get; } = options;

    /// <summary>Bins held, gaps not counted.</summary>
    public int BinCount => _bins.Count;

    /// <summary>Bytes held by bucket loads.</summary>
    public long Bytes => _bytes;

    /// <summary>Number of the bin that holds <paramref name="at"/>.</summary>
    public long BinOf(DateTimeOffset at) => at.UtcTicks / Options.BinLength.Ticks;

    /// <summary>Start of a bin.</summary>
    public DateTimeOffset StartOf(long bin) => new(bin * Options.BinLength.Ticks, TimeSpan.Zero);

    /// <summary>
    /// Adds a window; one that crosses bin borders is shared out by time. Windows older than the oldest bin kept are dropped.
    /// </summary>
    /// <param name="window">What a proxy observed.</param>
    /// <param name="table">The placement it was observed under: tells a node's own load from that of its buckets.</param>
    public void Add(WorkloadWindow window, RoutingTable? table = null)
    {
        if (window.Length <= TimeSpan.Zero)
        {
            return;
        }

        var unattributed = table is null ? [] : Unattributed(window, table);
        var start = window.Start.UtcTicks;
        var end = start + window.Length.Ticks;
        var binTicks = Options.BinLength.Ticks;
        var last = (end - 1) / binTicks;
        // A window longer than the whole history holds nothing about its early bins that will be kept.
        for (var index = Math.Max(start / binTicks, last - Options.MaxBins + 1); index <= last; index++)
        {
            var overlap = Math.Min(end, (index + 1) * binTicks) - Math.Max(start, index * binTicks);
            var bin = BinFor(index);
            if (bin is null)
            {
                continue;
            }

            bin.AddCoverage(window.ProxyId, overlap / (double)binTicks);
            AddShare(bin, window, unattributed, overlap / (double)window.Length.Ticks);
        }

        Trim();
    }

    /// <summary>
    /// The load of [<paramref name="from"/>, <paramref name="to"/>) of a group, from the oldest bin to the newest one before
    /// <paramref name="endBin"/>. A bucket that lies partly inside counts by its share.
    /// </summary>
    public LoadSeries RangeSeries(int groupId, long from, long? to, long endBin, LoadMeasure measure = LoadMeasure.Statements)
    {
        var weights = BucketSpan.Of(from, to);
        return Series(endBin, bin => bin.Groups.TryGetValue(groupId, out var columns)
            ? weights.Sum(Column(columns, measure)) * Scale(measure)
            : 0);
    }

    /// <summary>The load of [<paramref name="from"/>, <paramref name="to"/>) in one bin; NaN when the bin is a gap.</summary>
    public double RangeLoadAt(int groupId, long from, long? to, long bin)
    {
        if (!_byIndex.TryGetValue(bin, out var found) || !IsObserved(found))
        {
            return double.NaN;
        }

        return found.Groups.TryGetValue(groupId, out var columns)
            ? BucketSpan.Of(from, to).Sum(columns.Calls) / (found.Coverage * Options.BinLength.TotalSeconds)
            : 0;
    }

    /// <summary>Everything known of a range's load in one bin; null when the bin is a gap.</summary>
    public RangeBinLoad? RangeDetailsAt(int groupId, long from, long? to, long bin)
    {
        if (!_byIndex.TryGetValue(bin, out var found) || !IsObserved(found))
        {
            return null;
        }

        if (!found.Groups.TryGetValue(groupId, out var columns))
        {
            return default(RangeBinLoad);
        }

        var span = BucketSpan.Of(from, to);
        var seconds = found.Coverage * Options.BinLength.TotalSeconds;
        double Rate(float[]? column) => column is null ? double.NaN : span.Sum(column) / seconds;
        return new RangeBinLoad(
            Rate(columns.Calls), Rate(columns.Details?.Writes), Rate(columns.Details?.Rows), Rate(columns.Details?.Bytes), Rate(columns.BusyMicros) / 1e6);
    }

    /// <summary>
    /// Adds <paramref name="weight"/> times the loads per second of a group's buckets in one bin to <paramref name="sums"/>
    /// (<see cref="BucketMap.BucketsPerGroup"/> long).
    /// </summary>
    /// <returns>False, with nothing added, when the bin is a gap.</returns>
    public bool TryAddBucketRates(int groupId, long bin, double weight, Span<double> sums)
    {
        if (!_byIndex.TryGetValue(bin, out var found) || !IsObserved(found))
        {
            return false;
        }

        if (found.Groups.TryGetValue(groupId, out var columns))
        {
            var factor = weight / (found.Coverage * Options.BinLength.TotalSeconds);
            for (var i = 0; i < sums.Length; i++)
            {
                sums[i] += columns.Calls[i] * factor;
            }
        }

        return true;
    }

    /// <summary>
    /// The series of what <paramref name="nodeId"/> served beside the buckets it owned, in statements per second.
    /// </summary>
    public LoadSeries UnattributedSeries(int nodeId, long endBin) =>
        Series(endBin, bin => bin.Nodes.TryGetValue(nodeId, out var node) ? node.Unattributed : 0);

    /// <summary>Node loads of one bin, ordered by node; empty when the bin is a gap.</summary>
    public ImmutableArray<NodeBinLoad> NodesAt(long bin)
    {
        if (_byIndex.TryGetValue(bin, out var found) && IsObserved(found))
        {
            var seconds = found.Coverage * Options.BinLength.TotalSeconds;
            return [.. found.Nodes.OrderBy(n => n.Key).Select(n => new NodeBinLoad(
                n.Key,
                n.Value.Statements / seconds,
                n.Value.Unattributed / seconds,
                n.Value.BusyMicros / 1e6 / seconds,
                n.Value.PoolWaitMicros / 1e6 / seconds,
                n.Value.Rows / seconds,
                n.Value.Bytes / seconds,
                n.Value.P99Micros))];
        }

        return [];
    }

    /// <summary>The newest observed bin before <paramref name="endBin"/>, or null.</summary>
    public long? LastObserved(long endBin)
    {
        for (var node = _bins.Last; node is not null; node = node.Previous)
        {
            if (node.Value.Index < endBin && IsObserved(node.Value))
            {
                return node.Value.Index;
            }
        }

        return null;
    }

    private static float[] Column(HistoryBin.GroupColumns columns, LoadMeasure measure) =>
        measure == LoadMeasure.BusyTime ? columns.BusyMicros : columns.Calls;

    private static double Scale(LoadMeasure measure) => measure == LoadMeasure.BusyTime ? 1e-6 : 1;

    private static Dictionary<int, double> Unattributed(WorkloadWindow window, RoutingTable table)
    {
        var result = window.Nodes.ToDictionary(n => n.NodeId, n => (double)n.Statements);
        foreach (var load in window.Buckets)
        {
            if (table.FindGroup(load.GroupId) is { } group)
            {
                var owner = group.Locate(BucketMap.FirstHash(load.Bucket)).NodeId;
                if (result.TryGetValue(owner, out var left))
                {
                    result[owner] = left - load.Calls;
                }
            }
        }

        return result;
    }

    private void AddShare(HistoryBin bin, WorkloadWindow window, Dictionary<int, double> unattributed, double share)
    {
        foreach (var load in window.Buckets)
        {
            if ((uint)load.Bucket >= BucketMap.BucketsPerGroup)
            {
                continue;
            }

            if (!bin.Groups.TryGetValue(load.GroupId, out var columns))
            {
                bin.Groups[load.GroupId] = columns = new HistoryBin.GroupColumns();
                _bytes += HistoryBin.BytesPerGroup;
            }

            columns.Calls[load.Bucket] += (float)(load.Calls * share);
            columns.BusyMicros[load.Bucket] += (float)(load.BusyMicros * share);
            if (columns.Details is { } details)
            {
                details.Writes[load.Bucket] += (float)(load.Writes * share);
                details.Rows[load.Bucket] += (float)(load.Rows * share);
                details.Bytes[load.Bucket] += (float)(load.Bytes * share);
            }
        }

        foreach (var load in window.Nodes)
        {
            if (!bin.Nodes.TryGetValue(load.NodeId, out var totals))
            {
                bin.Nodes[load.NodeId] = totals = new HistoryBin.NodeTotals();
            }

            totals.Statements += load.Statements * share;
            totals.Rows += load.Rows * share;
            totals.Bytes += load.Bytes * share;
            totals.Unattributed += Math.Max(0, unattributed.GetValueOrDefault(load.NodeId)) * share;
            totals.BusyMicros += load.BusyMicros * share;
            totals.PoolWaitMicros += load.PoolWaitMicros * share;
            totals.P99Micros = Math.Max(totals.P99Micros, load.P99Micros);
        }
    }

    private HistoryBin? BinFor(long index)
    {
        if (_byIndex.TryGetValue(index, out var known))
        {
            return known;
        }

        var node = _bins.Last;
        while (node is not null && node.Value.Index > index)
        {
            node = node.Previous;
        }

        if (node is null && _bins.Count >= Options.MaxBins)
        {
            return null;
        }

        var bin = new HistoryBin(index);
        _byIndex[index] = bin;
        if (_bins.Count >= DetailedBins)
        {
            DropDetails();
        }

        if (node is null)
        {
            _bins.AddFirst(bin);
        }
        else
        {
            _bins.AddAfter(node, bin);
        }

        return bin;
    }

    private void DropDetails()
    {
        var node = _bins.Last;
        for (var i = 1; node is not null && i < DetailedBins; i++)
        {
            node = node.Previous;
        }

        foreach (var columns in node?.Value.Groups.Values ?? Enumerable.Empty<HistoryBin.GroupColumns>())
        {
            columns.Details = null;
        }
    }

    private void Trim()
    {
        var newest = _bins.Last?.Value.Index ?? 0;
        while (_bins.First is { } oldest &&
            (oldest.Value.Index <= newest - Options.MaxBins || (_bytes > Options.MaxBytes && _bins.Count > 1)))
        {
            _bytes -= (long)oldest.Value.Groups.Count * HistoryBin.BytesPerGroup;
            _byIndex.Remove(oldest.Value.Index);
            _bins.RemoveFirst();
        }
    }

    private bool IsObserved(HistoryBin bin) => bin.Coverage >= Options.MinimumCoverage;

    private LoadSeries Series(long endBin, Func<HistoryBin, double> load)
    {
        if (_bins.First is not { } oldest || oldest.Value.Index >= endBin)
        {
            return new LoadSeries(endBin, []);
        }

        var first = oldest.Value.Index;
        var values = new double[endBin - first];
        Array.Fill(values, double.NaN);
        for (var node = _bins.Last; node is not null && node.Value.Index >= first; node = node.Previous)
        {
            var bin = node.Value;
            if (bin.Index < endBin && IsObserved(bin))
            {
                values[bin.Index - first] = load(bin) / (bin.Coverage * Options.BinLength.TotalSeconds);
            }
        }

        return new LoadSeries(first, values);
    }
}
