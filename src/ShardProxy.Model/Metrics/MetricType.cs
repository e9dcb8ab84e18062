namespace ShardProxy.Model.Metrics;

/// <summary>Prometheus' metric types, as far as they are used here.</summary>
public enum MetricType
{
    Counter,
    Gauge,
    Histogram,
}
