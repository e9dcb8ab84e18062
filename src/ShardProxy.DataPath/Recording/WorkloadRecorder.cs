using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Workload;

namespace ShardProxy.DataPath.Recording;

/// <summary>
/// Counts every finished statement into its bucket and node, by interlocked adds only. The control plane takes the counts
/// out window by window; totals since the start stay for the metrics.
/// </summary>
public sealed class WorkloadRecorder(string proxyId, TimeProvider time) : IWorkloadSource
{
    private const int Fields = 5;
    private const int Reads = 0, Writes = 1, Rows = 2, Bytes = 3, Busy = 4;

    private readonly ConcurrentDictionary<int, long[]> _groups = new();
    private readonly ConcurrentDictionary<int, NodeCounters> _nodes = new();
    private readonly ConcurrentDictionary<int, RangeCounters> _ranges = new();
    private readonly Lock _takeLock = new();
    private long _windowStart = time.GetTimestamp();
    private DateTimeOffset _windowStartAt = time.GetUtcNow();

    /// <summary>Counters of the nodes, for the metrics.</summary>
    internal IEnumerable<NodeCounters> Nodes => _nodes.Values;

    /// <summary>Counters of the ranges, for the metrics.</summary>
    internal IEnumerable<RangeCounters> Ranges => _ranges.Values;

    /// <summary>A statement that ran on one node has ended.</summary>
    /// <param name="node">The node.</param>
    /// <param name="groupId">Table group, or 0 for statements without a key.</param>
    /// <param name="rangeId">The range of its first key, or 0.</param>
    /// <param name="hash">Its first key's hash; used when <paramref name="groupId"/> is not 0.</param>
    /// <param name="isWrite">It may have written.</param>
    /// <param name="rows">Rows returned or changed.</param>
    /// <param name="bytes">Bytes received from the server.</param>
    /// <param name="busyMicros">Microseconds from sending it to its last reply.</param>
    /// <param name="waitMicros">Microseconds it waited for a server connection or a hold.</param>
    /// <param name="isError">It ended in an error.</param>
    public void Record(Node node, int groupId, int rangeId, long hash, bool isWrite, long rows, long bytes, long busyMicros, long waitMicros, bool isError)
    {
        var counters = _nodes.TryGetValue(node.Id, out var known) ? known : _nodes.GetOrAdd(node.Id, static (id, name) => new NodeCounters(id, name), node.Name);
        counters.Add(isWrite, rows, bytes, busyMicros, waitMicros, isError);
        if (groupId == 0)
        {
            return;
        }

        var cells = _groups.TryGetValue(groupId, out var found) ? found : _groups.GetOrAdd(groupId, static _ => new long[BucketMap.BucketsPerGroup * Fields]);
        var at = BucketMap.Of(hash) * Fields;
        Interlocked.Increment(ref cells[at + (isWrite ? Writes : Reads)]);
        Interlocked.Add(ref cells[at + Rows], rows);
        Interlocked.Add(ref cells[at + Bytes], bytes);
        Interlocked.Add(ref cells[at + Busy], busyMicros);
        var range = _ranges.TryGetValue(rangeId, out var totals) ? totals : _ranges.GetOrAdd(rangeId, static id => new RangeCounters(id));
        range.Add(isError, busyMicros);
    }

    public WorkloadWindow TakeWindow()
    {
        lock (_takeLock)
        {
            var start = _windowStartAt;
            var length = time.GetElapsedTime(_windowStart);
            _windowStart = time.GetTimestamp();
            _windowStartAt = time.GetUtcNow();
            var buckets = ImmutableArray.CreateBuilder<BucketLoad>();
            foreach (var (groupId, cells) in _groups.OrderBy(g => g.Key))
            {
                for (var bucket = 0; bucket < BucketMap.BucketsPerGroup; bucket++)
                {
                    var at = bucket * Fields;
                    var load = new BucketLoad(
                        groupId,
                        bucket,
                        Interlocked.Exchange(ref cells[at + Reads], 0),
                        Interlocked.Exchange(ref cells[at + Writes], 0),
                        Interlocked.Exchange(ref cells[at + Rows], 0),
                        Interlocked.Exchange(ref cells[at + Bytes], 0),
                        Interlocked.Exchange(ref cells[at + Busy], 0));
                    if (load.Calls > 0 || load.BusyMicros > 0)
                    {
                        buckets.Add(load);
                    }
                }
            }

            return new WorkloadWindow(proxyId, start, length, buckets.ToImmutable(), [.. _nodes.OrderBy(n => n.Key).Select(n => n.Value.Take())]);
        }
    }
}
