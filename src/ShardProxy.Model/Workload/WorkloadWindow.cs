using System.Collections.Immutable;

namespace ShardProxy.Model.Workload;

/// <summary>Load of one bucket during one window. Times are microseconds.</summary>
/// <param name="GroupId">The table group.</param>
/// <param name="Bucket">0 to 1023.</param>
/// <param name="Reads">Statements that only read.</param>
/// <param name="Writes">Statements that write.</param>
/// <param name="Rows">Rows returned or changed.</param>
/// <param name="Bytes">Bytes sent to and received from the servers.</param>
/// <param name="BusyMicros">Sum of the time servers spent on the statements, as the proxy saw it.</param>
public readonly record struct BucketLoad(int GroupId, int Bucket, long Reads, long Writes, long Rows, long Bytes, long BusyMicros)
{
    /// <summary>All statements.</summary>
    public long Calls => Reads + Writes;
}

/// <summary>Load of one node during one window.</summary>
public readonly record struct NodeLoad(
    int NodeId, long Statements, long Errors, long Rows, long Bytes, long BusyMicros, long PoolWaitMicros, double P50Micros, double P95Micros, double P99Micros);

/// <summary>
/// What one proxy observed in [<see cref="Start"/>, <see cref="Start"/> + <see cref="Length"/>). Only buckets with load are listed; a
/// window that was never recorded is a gap, not a zero.
/// </summary>
public sealed record WorkloadWindow(
    string ProxyId, DateTimeOffset Start, TimeSpan Length, ImmutableArray<BucketLoad> Buckets, ImmutableArray<NodeLoad> Nodes);
