using System.Diagnostics.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// Listens to the product's instruments and writes them in Prometheus' text format. Instruments that are not in
/// <see cref="MetricCatalog"/> are not served. Thread-safe; a scrape holds a lock for as long as the owners take to report.
/// </summary>
public sealed class MetricCollector : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, MetricFamily> _families = MetricCatalog.All.ToDictionary(m => m.Name, m => new MetricFamily(m), StringComparer.Ordinal);
    private readonly Func<Meter, bool> _accepts;
    private readonly MeterListener _listener;
    private long _round;

    /// <param name="accepts">
    /// Which meters belong to this process's product; null takes every meter the catalog names. A test that runs beside others narrows
    /// it to its own.
    /// </param>
    public MetricCollector(Func<Meter, bool>? accepts = null)
    {
        _accepts = accepts ?? (static _ => true);
        _listener = new MeterListener { InstrumentPublished = Subscribe };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>Asks every owner and writes all metrics; UTF-8, lines end with LF, families and series in a fixed order.</summary>
    public void Write(TextWriter writer)
    {
        lock (_lock)
        {
            _round++;
            foreach (var family in _families.Values)
            {
                family.BeginRound();
            }

            _listener.RecordObservableInstruments();
            foreach (var family in _families.Values)
            {
                family.EndRound(_round);
            }

            _families[MetricCatalog.DroppedSeries.Name].Observe(
                MetricCatalog.DroppedSeries.Name, _families.Values.Sum(f => (double)f.OverflowCount), [], _round);
            foreach (var definition in MetricCatalog.All)
            {
                PrometheusText.Write(writer, _families[definition.Name]);
            }
        }
    }

    public void Dispose() => _listener.Dispose();

    private void Subscribe(Instrument instrument, MeterListener listener)
    {
        if (MetricCatalog.ByInstrument.TryGetValue(instrument.Name, out var definition)
            && string.Equals(definition.Meter, instrument.Meter.Name, StringComparison.Ordinal)
            && _accepts(instrument.Meter))
        {
            listener.EnableMeasurementEvents(instrument);
        }
    }

    private void Measured(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
        {
            var family = _families[MetricCatalog.ByInstrument[instrument.Name].Name];
            if (instrument.IsObservable)
            {
                family.Observe(instrument.Name, value, tags, _round);
            }
            else
            {
                family.Push(value, tags, replaces: instrument is Gauge<long> or Gauge<int> or Gauge<double>);
            }
        }
    }
}
