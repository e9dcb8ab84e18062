using System.Collections.Immutable;
using System.Globalization;

namespace ShardProxy.Planning.Placement;

/// <summary>
/// Finds buckets that are too hot for any node on their own. A bucket is the smallest thing that history knows, so no split at
/// bucket borders can relieve it: it gets a range and, as far as moves are worth it, a node for itself, and an operator is told.
/// </summary>
internal static class HotBuckets
{
    public static ImmutableArray<string> Notices(PlacementInput input, List<Piece> pieces, NodeLoads loads, PlacementOptions options)
    {
        var notices = ImmutableArray.CreateBuilder<string>();
        foreach (var piece in pieces)
        {
            for (var i = 0; i < piece.BucketCount; i++)
            {
                var (load, limit) = (0.0, 0.0);
                for (var h = 0; h < loads.Horizon; h++)
                {
                    var largest = 0.0;
                    for (var n = 0; n < input.Nodes.Length; n++)
                    {
                        largest = Math.Max(largest, loads.Limit(n, h));
                    }

                    if (piece.BucketMean(i, h) - largest > load - limit)
                    {
                        (load, limit) = (piece.BucketMean(i, h), largest);
                    }
                }

                if (load > limit)
                {
                    notices.Add(string.Create(
                        CultureInfo.InvariantCulture,
                        $"bucket {piece.FirstBucket + i} of group {piece.GroupId} alone is predicted at {load:F0} statements/s, above the {limit:F0} any node should carry: no split can relieve it, it can only be isolated"));
                }
            }
        }

        if (loads.HasCapacities)
        {
            var capacity = input.Nodes.Sum(n => n.Capacity) * options.HighWater;
            if (loads.PeakTotal > capacity)
            {
                notices.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"the whole cluster is predicted at {loads.PeakTotal:F0} statements/s, above the {capacity:F0} all its nodes should carry: more capacity is needed"));
            }
        }

        return notices.DrainToImmutable();
    }
}
