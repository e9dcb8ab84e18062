using System.Diagnostics.Metrics;
using NUnit.Framework;
using ShardProxy.Admin.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Functional.Tests.Admin;

// Protects that Prometheus accepts every metric of the catalog: its own checker reads an exposition in which each of them has samples.
internal sealed class PromtoolTests
{
    [Test]
    public async Task PromtoolHasNothingToSayAboutTheWholeCatalog()
    {
        using var data = new Meter(MetricMeters.DataPath);
        using var admin = new Meter(MetricMeters.Admin);
        using var process = new ProcessMetrics();
        using var collector = new MetricCollector(m => ReferenceEquals(m, data) || ReferenceEquals(m, admin) || ReferenceEquals(m, process.Meter));
        foreach (var metric in MetricCatalog.All.Where(m => m.Meter != MetricMeters.Process))
        {
            Fill(metric.Meter == MetricMeters.DataPath ? data : admin, metric);
        }

        using var text = new StringWriter();
        collector.Write(text);
        foreach (var metric in MetricCatalog.All)
        {
            Assert.That(text.ToString(), Does.Contain($"# TYPE {metric.Name} "), "every metric must be in what is checked");
        }

        Assert.That(await Promtool.CheckAsync(text.ToString()), Is.Empty);
    }

    [Test]
    public async Task PromtoolWouldSpeakUp() =>
        Assert.That(await Promtool.CheckAsync("# TYPE shardproxy_bad counter\nshardproxy_bad 1\n"), Does.Contain("shardproxy_bad"));

    private static void Fill(Meter meter, MetricDefinition metric)
    {
        // Two series each; the second has every character that must be escaped.
        KeyValuePair<string, object?>[] plain = [.. metric.Labels.Select(l => new KeyValuePair<string, object?>(l, "n1"))];
        KeyValuePair<string, object?>[] odd = [.. metric.Labels.Select(l => new KeyValuePair<string, object?>(l, "a\"b\\c\nd"))];
        Measurement<double>[] Both() => metric.Labels.IsEmpty ? [new(1.5)] : [new(1.5, plain), new(2e20, odd)];
        switch (metric.Type)
        {
            case MetricType.Counter:
                meter.CreateObservableCounter(metric.Name, Both);
                break;
            case MetricType.Gauge:
                meter.CreateObservableGauge(metric.Name, Both);
                break;
            default:
                var histogram = new DurationHistogram(metric, plain);
                histogram.RecordMicros(1_234);
                DurationHistogram.Publish(meter, metric, () => [histogram]);
                break;
        }
    }
}
