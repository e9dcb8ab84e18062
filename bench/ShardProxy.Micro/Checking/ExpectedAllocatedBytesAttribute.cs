namespace ShardProxy.Micro.Checking;

/// <summary>
/// How many bytes one call of a benchmark allocates once warm. Every benchmark says it; the hot path's is 0. A change either way fails
/// the check, so that an improvement is written down too.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ExpectedAllocatedBytesAttribute(long bytes) : Attribute
{
    /// <summary>Bytes a call.</summary>
    public long Bytes { get; } = bytes;
}
