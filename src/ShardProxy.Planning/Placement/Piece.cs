using ShardProxy.Model.Workload;
using ShardProxy.Planning.History;

namespace ShardProxy.Planning.Placement;

/// <summary>A range, or a part of one that a plan has cut off, with its predicted load.</summary>
internal sealed class Piece
{
    private readonly double[][] _buckets;
    private readonly double[] _rangeWidth;
    private readonly double[] _rangeMean;
    private readonly int _firstBucket;

    private Piece(int rangeId, int groupId, long from, long? to, int nodeId, long bytes, bool isMovable, double[][] buckets, int firstBucket, double[] rangeMean, double[] rangeWidth)
    {
        RangeId = rangeId;
        GroupId = groupId;
        From = from;
        To = to;
        NodeId = nodeId;
        Bytes = bytes;
        IsMovable = isMovable;
        _buckets = buckets;
        _firstBucket = firstBucket;
        _rangeMean = rangeMean;
        _rangeWidth = rangeWidth;
        Mean = new double[rangeMean.Length];
        foreach (var bucket in buckets)
        {
            for (var h = 0; h < Mean.Length; h++)
            {
                Mean[h] += bucket[h];
            }
        }

        Width = new double[Mean.Length];
        for (var h = 0; h < Mean.Length; h++)
        {
            Width[h] = rangeMean[h] > 0 ? rangeWidth[h] * Mean[h] / rangeMean[h] : rangeWidth[h];
        }
    }

    /// <summary>0 when the piece is cut off by the plan itself.</summary>
    public int RangeId { get; }

    public int GroupId { get; }

    public long From { get; }

    public long? To { get; }

    public int NodeId { get; set; }

    public long Bytes { get; }

    public bool IsMovable { get; set; }

    /// <summary>Expected load at each step.</summary>
    public double[] Mean { get; }

    /// <summary>Upper bound minus expected load at each step.</summary>
    public double[] Width { get; }

    public int BucketCount => _buckets.Length;

    public int FirstBucket => _firstBucket;

    public double BucketMean(int i, int step) => _buckets[i][step];

    public static Piece Of(RangeDemand demand)
    {
        var forecast = demand.Forecast;
        var range = forecast.Range;
        var horizon = forecast.Forecast.Horizon;
        var width = new double[horizon];
        for (var h = 0; h < horizon; h++)
        {
            width[h] = forecast.Forecast.Upper[h] - forecast.Forecast.Point[h];
        }

        return new Piece(
            range.Id, range.GroupId, range.From, range.To, range.NodeId, demand.Bytes, demand.IsMovable,
            [.. forecast.Buckets.Select(b => b.ToArray())], BucketSpan.Of(range.From, range.To).First, [.. forecast.Forecast.Point], width);
    }

    /// <summary>Cuts before the piece's <paramref name="bucket"/>-th bucket (1 to count - 1). The lower half keeps the id.</summary>
    public (Piece Lower, Piece Upper) Cut(int bucket)
    {
        var at = BucketMap.FirstHash(_firstBucket + bucket);
        var share = KeySpaceShare(From, at) / KeySpaceShare(From, To);
        var lowerBytes = (long)(Bytes * share);
        return (
            new Piece(RangeId, GroupId, From, at, NodeId, lowerBytes, IsMovable, _buckets[..bucket], _firstBucket, _rangeMean, _rangeWidth),
            new Piece(0, GroupId, at, To, NodeId, Bytes - lowerBytes, IsMovable, _buckets[bucket..], _firstBucket + bucket, _rangeMean, _rangeWidth));
    }

    private static double KeySpaceShare(long from, long? to) => (double)((to is { } end ? (Int128)end : (Int128)long.MaxValue + 1) - from);
}
