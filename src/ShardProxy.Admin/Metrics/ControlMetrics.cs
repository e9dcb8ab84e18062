using System.Diagnostics.Metrics;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>Load, forecasts, migrations and topology as instruments, read from the admin side's views when a scrape asks.</summary>
public sealed class ControlMetrics : IDisposable
{
    private readonly AdminBackend _backend;
    private readonly MigrationTotals _totals;
    private readonly Meter _meter = new(MetricMeters.Admin);

    public ControlMetrics(AdminBackend backend)
    {
        _backend = backend;
        _totals = new MigrationTotals(backend.Migrations);
        _meter.CreateObservableGauge(MetricCatalog.NodeLoad.Name, () => Load(LoadSubject.Node));
        _meter.CreateObservableGauge(MetricCatalog.RangeLoad.Name, () => Load(LoadSubject.Range));
        _meter.CreateObservableGauge(MetricCatalog.RangeForecast.Name, () => Next().Select(f => Range(f.Forecast, f.RangeId)));
        _meter.CreateObservableGauge(MetricCatalog.RangeForecastUpper.Name, () => Next().Select(f => Range(f.Upper, f.RangeId)));
        _meter.CreateObservableGauge(MetricCatalog.NodeForecast.Name, () => NodeForecast(static f => f.Forecast));
        _meter.CreateObservableGauge(MetricCatalog.NodeForecastUpper.Name, () => NodeForecast(static f => f.Upper));
        _meter.CreateObservableGauge(MetricCatalog.ForecastError.Name, () => Scores().Select(s => Range(s.MeanAbsoluteError, s.RangeId)));
        _meter.CreateObservableGauge(MetricCatalog.NaiveForecastError.Name, () => Scores().Select(s => Range(s.NaiveMeanAbsoluteError, s.RangeId)));
        _meter.CreateObservableGauge(MetricCatalog.Migrations.Name, MigrationsByState);
        _meter.CreateObservableGauge(MetricCatalog.MigrationProgress.Name, Progress);
        _meter.CreateObservableCounter(MetricCatalog.MigrationRowsCopied.Name, () => _totals.Read().RowsCopied);
        _meter.CreateObservableCounter(MetricCatalog.MigrationRowsVerified.Name, () => _totals.Read().RowsVerified);
        DurationHistogram.Publish(_meter, MetricCatalog.MigrationStall, () => [_totals.Read().Stalls]);
        _meter.CreateObservableGauge(MetricCatalog.Ranges.Name, RangesByNode);
        _meter.CreateObservableGauge(MetricCatalog.NodeUp.Name, NodesUp);
        _meter.CreateObservableGauge(MetricCatalog.SchemaDrift.Name, DriftByNode);
    }

    /// <summary>The meter, for a listener that wants only this instance.</summary>
    public Meter Meter => _meter;

    public void Dispose() => _meter.Dispose();

    private static Measurement<double> Range(double value, int rangeId) => new(value, new KeyValuePair<string, object?>("range", rangeId));

    private static KeyValuePair<string, object?> Node(string name) => new("node", name);

    private IEnumerable<Measurement<double>> Load(LoadSubject subject)
    {
        var routing = _backend.Topology.Current;
        foreach (var load in _backend.Planner.Load().Where(l => l.Subject == subject))
        {
            if (subject == LoadSubject.Range)
            {
                yield return Range(load.CallsPerSecond, load.Id);
            }
            else if (routing.Nodes.FirstOrDefault(n => n.Id == load.Id) is { } node)
            {
                yield return new Measurement<double>(load.CallsPerSecond, Node(node.Name));
            }
        }
    }

    private IEnumerable<ForecastSnapshot> Next() => _backend.Planner.Forecasts().Where(f => f.Step == 1);

    private IEnumerable<ForecastScore> Scores() => _backend.Planner.Scores().Where(s => s.Matured > 0);

    private IEnumerable<Measurement<double>> NodeForecast(Func<ForecastSnapshot, double> figure)
    {
        var routing = _backend.Topology.Current;
        return Next()
            .Select(f => (Owner: routing.FindRange(f.RangeId)?.NodeId, Value: figure(f)))
            .Where(f => f.Owner is not null)
            .GroupBy(f => f.Owner!.Value)
            .Select(g => new Measurement<double>(g.Sum(f => f.Value), Node(routing.Node(g.Key).Name)));
    }

    private IEnumerable<Measurement<long>> MigrationsByState()
    {
        var count = _backend.Migrations.Migrations().CountBy(m => MigrationStates.Word(m.State)).ToDictionary(StringComparer.Ordinal);
        return MigrationStates.Words.Select(word => new Measurement<long>(count.GetValueOrDefault(word), new KeyValuePair<string, object?>("state", word)));
    }

    private IEnumerable<Measurement<double>> Progress() => _backend.Migrations.Migrations()
        .Where(m => MigrationStates.IsRunning(m.State))
        .Select(m => new Measurement<double>(
            m.RowsTotal > 0 ? Math.Min(1, (double)m.RowsDone / m.RowsTotal) : 0,
            new KeyValuePair<string, object?>("migration", m.Id),
            new KeyValuePair<string, object?>("range", m.RangeId)));

    private IEnumerable<Measurement<long>> RangesByNode()
    {
        var routing = _backend.Topology.Current;
        return routing.Nodes.Select(node => new Measurement<long>(routing.Groups.Sum(g => g.Ranges.Count(r => r.NodeId == node.Id)), Node(node.Name)));
    }

    private IEnumerable<Measurement<long>> DriftByNode()
    {
        var drift = _backend.Drift.Drift();
        return _backend.Topology.Current.Nodes.Where(n => !n.IsHome).Select(n => new Measurement<long>(drift.Count(d => d.Node == n.Name), Node(n.Name)));
    }

    private IEnumerable<Measurement<long>> NodesUp() => _backend.Topology.Current.Nodes
        .Select(node => (node.Name, State: _backend.Topology.StateOf(node.Id)))
        .Where(node => node.State != NodeState.Unknown)
        .Select(node => new Measurement<long>(node.State == NodeState.Down ? 0 : 1, Node(node.Name)));
}
