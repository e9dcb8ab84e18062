using ShardProxy.Model.Workload;

namespace ShardProxy.Planning.History;

/// <summary>
/// Everything observed in one bin. Columns of a group are dense arrays over its buckets: most queries sum neighbouring buckets.
/// </summary>
internal sealed class HistoryBin(long index)
{
    /// <summary>Bytes one group's columns take.</summary>
    public const int BytesPerGroup = 2 * sizeof(float) * BucketMap.BucketsPerGroup;

    private readonly Dictionary<string, double> _coverage = new(StringComparer.Ordinal);

    /// <summary>Bin number: start of the bin in ticks divided by the bin's length.</summary>
    public long Index { get; } = index;

    public Dictionary<int, GroupColumns> Groups { get; } = [];

    public Dictionary<int, NodeTotals> Nodes { get; } = [];

    /// <summary>
    /// Share of the bin that was recorded, 0 to 1. With several proxies the best covered one counts: their loads add up, their
    /// times do not.
    /// </summary>
    public double Coverage { get; private set; }

    public void AddCoverage(string proxyId, double share)
    {
        var covered = Math.Min(1, _coverage.GetValueOrDefault(proxyId) + share);
        _coverage[proxyId] = covered;
        Coverage = Math.Max(Coverage, covered);
    }

    internal sealed class GroupColumns
    {
        public float[] Calls { get; } = new float[BucketMap.BucketsPerGroup];

        public float[] BusyMicros { get; } = new float[BucketMap.BucketsPerGroup];

        /// <summary>Only for the newest bins: shown, never forecast.</summary>
        public Details? Details { get; set; } = new();
    }

    internal sealed class Details
    {
        public float[] Writes { get; } = new float[BucketMap.BucketsPerGroup];

        public float[] Rows { get; } = new float[BucketMap.BucketsPerGroup];

        public float[] Bytes { get; } = new float[BucketMap.BucketsPerGroup];
    }

    internal sealed class NodeTotals
    {
        public double Rows { get; set; }

        public double Bytes { get; set; }

        public double Statements { get; set; }

        public double Unattributed { get; set; }

        public double BusyMicros { get; set; }

        public double PoolWaitMicros { get; set; }

        public double P99Micros { get; set; }
    }
}
