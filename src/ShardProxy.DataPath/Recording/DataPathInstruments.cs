using System.Diagnostics.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.DataPath.Recording;

/// <summary>
/// Shows the data path's counters as instruments, read only when a scrape asks: the hot path pays for an interlocked add and nothing
/// else. Names, units and labels are the catalog's.
/// </summary>
internal sealed class DataPathInstruments : IDisposable
{
    private readonly Meter _meter = new(MetricMeters.DataPath);

    public DataPathInstruments(DataPlane plane)
    {
        var recorder = plane.Recorder;
        var counters = plane.Counters;
        Counter(MetricCatalog.Requests, () => recorder.Nodes.SelectMany(n => new[]
        {
            Of(n.Reads, ("node", n.Node), ("kind", "read")), Of(n.Writes, ("node", n.Node), ("kind", "write")),
        }));
        Counter(MetricCatalog.RequestErrors, () => recorder.Nodes.Select(n => Of(n.Errors, ("node", n.Node))));
        DurationHistogram.Publish(_meter, MetricCatalog.RequestDuration, () => recorder.Nodes.Select(n => n.Duration));
        Counter(MetricCatalog.RangeRequests, () => recorder.Ranges.Select(r => Of(r.Statements, ("range", r.Range))));
        Counter(MetricCatalog.RangeRequestErrors, () => recorder.Ranges.Select(r => Of(r.Errors, ("range", r.Range))));
        DurationHistogram.Publish(_meter, MetricCatalog.RangeRequestDuration, () => recorder.Ranges.Select(r => r.Duration));
        Counter(MetricCatalog.RefusedStatements, () => counters.RefusedByCode.Select(c => Of(c.Value, ("code", c.Key))));
        Counter(MetricCatalog.RejectedLogins, () => counters.RejectedByCode.Select(c => Of(c.Value, ("code", c.Key))));
        Counter(MetricCatalog.Timeouts, () => counters.TimeoutsByKind.Select(c => Of(c.Value, ("kind", c.Key))));
        Counter(MetricCatalog.Deadlocks, () => [Of(counters.Deadlocks)]);
        Counter(MetricCatalog.Bytes, () => recorder.Nodes.Select(n => Of(n.Bytes, ("node", n.Node), ("direction", "received"))));
        _meter.CreateObservableCounter(MetricCatalog.SessionsOpened.Name, () => counters.Sessions);
        _meter.CreateObservableCounter(MetricCatalog.LoginFailures.Name, () => Math.Max(0, counters.Connections - counters.Sessions - counters.Cancels - counters.ConsoleSessions));
        _meter.CreateObservableCounter(
            MetricCatalog.PoolWaitSeconds.Name, () => plane.Links.Select(l => new Measurement<double>(l.Waited.TotalSeconds, new KeyValuePair<string, object?>("node", l.Node))));
        Counter(MetricCatalog.PoolTimeouts, () => plane.Links.Select(l => Of(l.Timeouts, ("node", l.Node))));
        Counter(MetricCatalog.ConnectAttempts, () => plane.Links.Select(l => Of(l.Attempts, ("node", l.Node))));
        Counter(MetricCatalog.ConnectFailures, () => plane.Links.Select(l => Of(l.Failures, ("node", l.Node))));
        _meter.CreateObservableGauge(
            MetricCatalog.RetryDelay.Name, () => plane.Links.Select(l => new Measurement<double>(l.RetryDelay.TotalSeconds, new KeyValuePair<string, object?>("node", l.Node))));
        _meter.CreateObservableCounter(MetricCatalog.ShapeHits.Name, () => plane.Analyzer.Hits);
        _meter.CreateObservableCounter(MetricCatalog.ShapeMisses.Name, () => plane.Analyzer.Misses);
        _meter.CreateObservableGauge(MetricCatalog.ShapeCount.Name, () => (long)plane.Analyzer.ShapeCount);
        _meter.CreateObservableGauge(MetricCatalog.HeldStatements.Name, () => counters.HeldNow);
        _meter.CreateObservableCounter(MetricCatalog.HeldStatementsTotal.Name, () => counters.Held);
        var shadow = plane.Shadow;
        Counter(MetricCatalog.ShadowReads, () =>
        [
            Of(shadow.Compared, ("outcome", "compared")), Of(shadow.Different, ("outcome", "different")),
            Of(shadow.Inconclusive, ("outcome", "inconclusive")), Of(shadow.Dropped, ("outcome", "dropped")),
        ]);
        Counter(MetricCatalog.Redirections, () => plane.RedirectionTotals().Select(r => Of(
            r.Count, ("range", r.RangeId == 0 ? "none" : r.RangeId.ToString(System.Globalization.CultureInfo.InvariantCulture)), ("reason", r.Reason))));
        Counter(MetricCatalog.DistributedTransactions, () =>
        [
            Of(counters.TwoPhaseCommits, ("outcome", "committed")), Of(counters.TwoPhaseAborts, ("outcome", "aborted")), Of(counters.InDoubt, ("outcome", "in_doubt")),
        ]);
    }

    /// <summary>The meter, for a listener that wants only this instance.</summary>
    public Meter Meter => _meter;

    public void Dispose() => _meter.Dispose();

    private static Measurement<long> Of(long value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        var tags = new KeyValuePair<string, object?>[labels.Length];
        for (var i = 0; i < tags.Length; i++)
        {
            tags[i] = new(labels[i].Name, labels[i].Value);
        }

        return new Measurement<long>(value, tags);
    }

    private void Counter(MetricDefinition definition, Func<IEnumerable<Measurement<long>>> observe) => _meter.CreateObservableCounter(definition.Name, observe);
}
