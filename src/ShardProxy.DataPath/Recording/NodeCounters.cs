using ShardProxy.Model.Metrics;
using ShardProxy.Model.Workload;

namespace ShardProxy.DataPath.Recording;

/// <summary>Counters of one node: totals for the metrics, and a window for the control plane that is taken out.</summary>
internal sealed class NodeCounters(int nodeId, string node)
{
    private readonly LatencyHistogram _latency = new();
    private long _reads, _writes, _errors, _rows, _bytes, _busy, _wait;
    private NodeLoad _taken;

    public string Node { get; } = node;

    public DurationHistogram Duration { get; } = new(MetricCatalog.RequestDuration, new KeyValuePair<string, object?>("node", node));

    public long Reads => Volatile.Read(ref _reads);

    public long Writes => Volatile.Read(ref _writes);

    public long Errors => Volatile.Read(ref _errors);

    public long Bytes => Volatile.Read(ref _bytes);

    public long WaitMicros => Volatile.Read(ref _wait);

    public void Add(bool isWrite, long rows, long bytes, long busyMicros, long waitMicros, bool isError)
    {
        Interlocked.Increment(ref isWrite ? ref _writes : ref _reads);
        Interlocked.Add(ref _rows, rows);
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Add(ref _busy, busyMicros);
        if (waitMicros > 0)
        {
            Interlocked.Add(ref _wait, waitMicros);
        }

        if (isError)
        {
            Interlocked.Increment(ref _errors);
        }

        Duration.RecordMicros(busyMicros);
        _latency.Add(busyMicros + waitMicros);
    }

    /// <summary>The window since the last call. One caller at a time.</summary>
    public NodeLoad Take()
    {
        var quantiles = _latency.Take(0.50, 0.95, 0.99);
        var now = new NodeLoad(
            nodeId, Reads + Writes, Errors, Volatile.Read(ref _rows), Bytes, Volatile.Read(ref _busy), WaitMicros, quantiles[0], quantiles[1], quantiles[2]);
        var then = _taken;
        _taken = now;
        return now with
        {
            Statements = now.Statements - then.Statements,
            Errors = now.Errors - then.Errors,
            Rows = now.Rows - then.Rows,
            Bytes = now.Bytes - then.Bytes,
            BusyMicros = now.BusyMicros - then.BusyMicros,
            PoolWaitMicros = now.PoolWaitMicros - then.PoolWaitMicros,
        };
    }
}
