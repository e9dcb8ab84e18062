using System.Diagnostics.Metrics;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>What alerts are made of and only the leading proxy knows, as instruments; a scrape asks nobody but this process.</summary>
public sealed class HealthMetrics : IDisposable
{
    private static readonly string[] ProxyStates = ["serving", "silent", "expelled", "barred"];
    private readonly AdminBackend _backend;
    private readonly Meter _meter = new(MetricMeters.Admin);

    public HealthMetrics(AdminBackend backend)
    {
        _backend = backend;
        Gauge(MetricCatalog.SlotRetained, () => Slots(s => s.RetainedBytes));
        Gauge(MetricCatalog.SlotLag, () => Slots(s => s.LagBytes));
        Gauge(MetricCatalog.SlotActive, () => Slots(s => s.IsActive ? 1 : 0));
        Gauge(MetricCatalog.Replicas, () => Nodes(n => n.Replicas));
        Gauge(MetricCatalog.ReplicaLagBytes, () => Nodes(n => n.ReplicaLagBytes));
        _meter.CreateObservableGauge(
            MetricCatalog.ReplicaLagSeconds.Name,
            () => _backend.Health.Nodes().Where(n => n.ReplicaLagSeconds is not null).Select(n => new Measurement<double>(n.ReplicaLagSeconds!.Value, Tag("node", n.Node))));
        Gauge(MetricCatalog.PreparedTransactions, () => Nodes(n => n.Prepared));
        _meter.CreateObservableGauge(
            MetricCatalog.OldestPrepared.Name, () => _backend.Health.Nodes().Select(n => new Measurement<double>(n.OldestPreparedSeconds, Tag("node", n.Node))));
        Gauge(
            MetricCatalog.MigrationStateNow,
            () => _backend.Health.Moves().Select(m => new Measurement<long>(1, Tag("migration", m.Id), Tag("range", m.RangeId), Tag("state", m.State))));
        _meter.CreateObservableGauge(
            MetricCatalog.MigrationIdle.Name,
            () => _backend.Health.Moves().Select(m => new Measurement<double>(m.IdleSeconds, Tag("migration", m.Id), Tag("range", m.RangeId))));
        Gauge(MetricCatalog.Proxies, ProxiesByState);
        Gauge(MetricCatalog.Leading, () => [new Measurement<long>(_backend.Fleet.Proxies().Any(p => p.IsThis && p.IsLeading) ? 1 : 0)]);
    }

    /// <summary>The meter, for a listener that wants only this instance.</summary>
    public Meter Meter => _meter;

    public void Dispose() => _meter.Dispose();

    private static KeyValuePair<string, object?> Tag(string name, object value) => new(name, value);

    private IEnumerable<Measurement<long>> Slots(Func<SlotHealth, long> figure) =>
        _backend.Health.Slots().Select(s => new Measurement<long>(figure(s), Tag("node", s.Node), Tag("slot", s.Slot)));

    private IEnumerable<Measurement<long>> Nodes(Func<NodeHealth, long> figure) =>
        _backend.Health.Nodes().Select(n => new Measurement<long>(figure(n), Tag("node", n.Node)));

    /// <summary>Every state, also at zero: a gauge that vanishes cannot be watched.</summary>
    private IEnumerable<Measurement<long>> ProxiesByState()
    {
        var count = _backend.Fleet.Proxies().CountBy(p => p.State, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        return ProxyStates.Select(state => new Measurement<long>(count.GetValueOrDefault(state), Tag("state", state)));
    }

    private void Gauge(MetricDefinition definition, Func<IEnumerable<Measurement<long>>> observe) => _meter.CreateObservableGauge(definition.Name, observe);
}
