using System.Diagnostics.Metrics;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Metrics;
using ShardProxy.Model.Views;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// Sessions, pools and the epoch, counted from the data plane's frozen views when a scrape asks. Pools are summed by node: database
/// and user names are a user's values and no labels.
/// </summary>
public sealed class DataPlaneMetrics : IDisposable
{
    private static readonly string[] UsualStates = ["active", "idle", "idle in transaction"];

    private readonly AdminBackend _backend;
    private readonly Meter _meter = new(MetricMeters.Admin);

    public DataPlaneMetrics(AdminBackend backend)
    {
        _backend = backend;
        _meter.CreateObservableGauge(MetricCatalog.Sessions.Name, SessionsByState);
        _meter.CreateObservableGauge(MetricCatalog.PoolConnections.Name, Connections);
        _meter.CreateObservableGauge(MetricCatalog.PoolWaiting.Name, Waiting);
        _meter.CreateObservableGauge(MetricCatalog.EncryptedSessions.Name, () => _backend.DataPlane.Sessions().LongCount(s => s.IsEncrypted));
        _meter.CreateObservableGauge(MetricCatalog.PoolReserve.Name, () => OfPools(pools => pools.Sum(p => (long)p.ReserveInUse)));
        _meter.CreateObservableGauge(MetricCatalog.PoolLongestWait.Name, () => OfPools(pools => pools.Max(p => p.LongestWaitMs) / 1000));
        _meter.CreateObservableGauge(MetricCatalog.PoolsPaused.Name, () => OfPools(pools => pools.LongCount(p => p.IsPaused)));
        _meter.CreateObservableGauge(MetricCatalog.Epoch.Name, () => _backend.Topology.Current.Epoch);
    }

    /// <summary>The meter, for a listener that wants only this instance.</summary>
    public Meter Meter => _meter;

    public void Dispose() => _meter.Dispose();

    /// <summary>The words PostgreSQL's pg_stat_activity uses are reported even at zero: a gauge that vanishes cannot be watched.</summary>
    private IEnumerable<Measurement<long>> SessionsByState()
    {
        var count = UsualStates.ToDictionary(state => state, _ => 0L, StringComparer.Ordinal);
        foreach (var session in _backend.DataPlane.Sessions())
        {
            count[session.State] = count.GetValueOrDefault(session.State) + 1;
        }

        return count.Select(s => new Measurement<long>(s.Value, new KeyValuePair<string, object?>("state", s.Key)));
    }

    private IEnumerable<Measurement<long>> Connections()
    {
        foreach (var pool in _backend.DataPlane.Pools())
        {
            yield return State(pool.Idle, pool.Node, "idle");
            yield return State(pool.Leased, pool.Node, "leased");
            yield return State(pool.Opening, pool.Node, "opening");
        }

        // Several pools of one node report the same series; the collector adds them up.
        static Measurement<long> State(int count, string node, string state) =>
            new(count, new KeyValuePair<string, object?>("node", node), new KeyValuePair<string, object?>("state", state));
    }

    private IEnumerable<Measurement<T>> OfPools<T>(Func<IEnumerable<PoolSnapshot>, T> figure)
        where T : struct => _backend.DataPlane.Pools()
        .GroupBy(pool => pool.Node, StringComparer.Ordinal)
        .Select(node => new Measurement<T>(figure(node), new KeyValuePair<string, object?>("node", node.Key)));

    private IEnumerable<Measurement<long>> Waiting() => _backend.DataPlane.Pools()
        .Select(pool => new Measurement<long>(pool.Waiting, new KeyValuePair<string, object?>("node", pool.Node)));
}
