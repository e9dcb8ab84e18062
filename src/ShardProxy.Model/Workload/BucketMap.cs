namespace ShardProxy.Model.Workload;

/// <summary>
/// Fixed slices of a HASH group's key space at which load history is kept, so that it survives splits and merges: the top
/// ten bits of the hash in unsigned order.
/// </summary>
public static class BucketMap
{
    /// <summary>Buckets a group.</summary>
    public const int BucketsPerGroup = 1024;

    private const int Shift = 54;

    /// <summary>The bucket of a hash, 0 to 1023, ordered as the hashes are.</summary>
    public static int Of(long hash) => (int)((ulong)(hash ^ long.MinValue) >> Shift);

    /// <summary>The lowest hash of a bucket.</summary>
    public static long FirstHash(int bucket) => (long)((ulong)bucket << Shift) ^ long.MinValue;
}
