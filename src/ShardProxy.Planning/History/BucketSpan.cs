using ShardProxy.Model.Workload;

namespace ShardProxy.Planning.History;

/// <summary>
/// The buckets under an interval of the key space. A range cut inside a bucket owns the share of it that its hashes make up: hashes
/// are spread evenly, so that is the best guess there is.
/// </summary>
/// <param name="First">First bucket touched.</param>
/// <param name="Count">Buckets touched, at least 1.</param>
/// <param name="FirstShare">Share of the first bucket that lies inside, above 0 to 1.</param>
/// <param name="LastShare">Share of the last bucket that lies inside; equal to <paramref name="FirstShare"/> when there is one bucket.</param>
public readonly record struct BucketSpan(int First, int Count, double FirstShare, double LastShare)
{
    private const double HashesPerBucket = 1L << 54;

    /// <summary>The buckets under [from, to); <paramref name="to"/> null is the end of the key space.</summary>
    public static BucketSpan Of(long from, long? to)
    {
        var first = BucketMap.Of(from);
        var last = to is { } end ? BucketMap.Of(end - 1) : BucketMap.BucketsPerGroup - 1;
        var cutBefore = (double)((Int128)from - BucketMap.FirstHash(first)) / HashesPerBucket;
        var cutAfter = to is { } bound ? 1 - ((double)((Int128)bound - BucketMap.FirstHash(last)) / HashesPerBucket) : 0;
        return first == last
            ? new BucketSpan(first, 1, 1 - cutBefore - cutAfter, 1 - cutBefore - cutAfter)
            : new BucketSpan(first, last - first + 1, 1 - cutBefore, 1 - cutAfter);
    }

    /// <summary>Share of the <paramref name="i"/>-th bucket of the span that lies inside.</summary>
    public double Share(int i) => i == 0 ? FirstShare : i == Count - 1 ? LastShare : 1;

    /// <summary>Weighted sum of a column over the span.</summary>
    public double Sum(ReadOnlySpan<float> column)
    {
        double sum = 0;
        for (var i = 0; i < Count; i++)
        {
            sum += column[First + i] * Share(i);
        }

        return sum;
    }
}
