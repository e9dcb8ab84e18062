using System.Diagnostics.Metrics;
using NUnit.Framework;
using ShardProxy.Admin.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Unit.Tests.Admin.Metrics;

// Protects the exposition: the format's letter, bounded labels whose overflow never loses a count, and that only catalogued metrics are served.
internal sealed class MetricCollectorTests
{
    private readonly Meter _meter = new(MetricMeters.DataPath);
    private MetricCollector _collector = null!;

    [SetUp]
    public void SetUp() => _collector = new MetricCollector(meter => ReferenceEquals(meter, _meter));

    [TearDown]
    public void TearDown() => _collector.Dispose();

    [OneTimeTearDown]
    public void DisposeMeter() => _meter.Dispose();

    [Test]
    public void CountersAreWrittenInAStableOrderWithHelpAndType()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter));
        meter.CreateObservableCounter(MetricCatalog.RangeRequests.Name, () => new[] { Of(3, "10"), Of(2, "9"), Of(1, "a\"b\\c\nd") });
        var text = Scrape(collector);
        Assert.That(text, Does.StartWith(
            "# HELP shardproxy_range_requests_total Statements pinned to a range by their key.\n"
            + "# TYPE shardproxy_range_requests_total counter\n"
            + "shardproxy_range_requests_total{range=\"9\"} 2\n"
            + "shardproxy_range_requests_total{range=\"10\"} 3\n"
            + "shardproxy_range_requests_total{range=\"a\\\"b\\\\c\\nd\"} 1\n"));
    }

    [Test]
    public void APulledHistogramIsCumulativeAndEndsInInfinity()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter));
        var histogram = new DurationHistogram(MetricCatalog.RangeRequestDuration, new KeyValuePair<string, object?>("range", 4));
        DurationHistogram.Publish(meter, MetricCatalog.RangeRequestDuration, () => [histogram]);
        histogram.RecordMicros(500);
        histogram.RecordMicros(501);
        histogram.RecordMicros(9_000_000);
        var lines = Scrape(collector).Split('\n').Where(l => l.StartsWith("shardproxy_range_request_duration", StringComparison.Ordinal)).ToArray();
        Assert.Multiple(() =>
        {
            Assert.That(lines[0], Is.EqualTo("shardproxy_range_request_duration_seconds_bucket{range=\"4\",le=\"0.0005\"} 1"));
            Assert.That(lines[1], Is.EqualTo("shardproxy_range_request_duration_seconds_bucket{range=\"4\",le=\"0.001\"} 2"));
            Assert.That(lines[^4], Is.EqualTo("shardproxy_range_request_duration_seconds_bucket{range=\"4\",le=\"2.5\"} 2"));
            Assert.That(lines[^3], Is.EqualTo("shardproxy_range_request_duration_seconds_bucket{range=\"4\",le=\"+Inf\"} 3"));
            Assert.That(lines[^2], Is.EqualTo("shardproxy_range_request_duration_seconds_sum{range=\"4\"} 9.001001"));
            Assert.That(lines[^1], Is.EqualTo("shardproxy_range_request_duration_seconds_count{range=\"4\"} 3"));
        });
    }

    [Test]
    public void PushedInstrumentsKeepTheirValueBetweenScrapes()
    {
        var counter = _meter.CreateCounter<long>(MetricCatalog.LoginFailures.Name);
        var histogram = _meter.CreateHistogram<double>(MetricCatalog.RequestDuration.Name);
        counter.Add(2);
        counter.Add(3);
        histogram.Record(0.02, new KeyValuePair<string, object?>("node", "n1"));
        Scrape(_collector);
        var text = Scrape(_collector);
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Contain("shardproxy_login_failures_total 5\n"));
            Assert.That(text, Does.Contain("shardproxy_request_duration_seconds_bucket{node=\"n1\",le=\"0.01\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_request_duration_seconds_bucket{node=\"n1\",le=\"0.025\"} 1\n"));
            Assert.That(text, Does.Contain("shardproxy_request_duration_seconds_count{node=\"n1\"} 1\n"));
        });
    }

    [Test]
    public void LabelSetsBeyondTheBoundAreSummedAndNothingIsLost()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter));
        var count = MetricCatalog.RangeRequests.MaxSeries + 100;
        meter.CreateObservableCounter(MetricCatalog.RangeRequests.Name, () => Enumerable.Range(1, count).Select(i => Of(1, i.ToString(System.Globalization.CultureInfo.InvariantCulture))));
        var samples = Samples(Scrape(collector), MetricCatalog.RangeRequests.Name);
        Assert.Multiple(() =>
        {
            Assert.That(samples, Has.Count.EqualTo(MetricCatalog.RangeRequests.MaxSeries + 1));
            Assert.That(samples["{range=\"other\"}"], Is.EqualTo(100));
            Assert.That(samples.Values.Sum(), Is.EqualTo(count));
        });
    }

    [Test]
    public void TheOverflowSeriesNeverGoesDownWhenAPlaceIsFreed()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter));
        var max = MetricCatalog.RangeRequests.MaxSeries;
        var ids = Enumerable.Range(1, max + 10).ToList();
        meter.CreateObservableCounter(MetricCatalog.RangeRequests.Name, () => ids.Select(i => Of(5, i.ToString(System.Globalization.CultureInfo.InvariantCulture))));
        Assert.That(Samples(Scrape(collector), MetricCatalog.RangeRequests.Name)["{range=\"other\"}"], Is.EqualTo(50));

        // Range 1 is gone and a new one has come: it gets the place, those in the sum stay there.
        ids.Remove(1);
        Scrape(collector);
        ids.Add(9_999);
        var samples = Samples(Scrape(collector), MetricCatalog.RangeRequests.Name);
        Assert.Multiple(() =>
        {
            Assert.That(samples["{range=\"other\"}"], Is.EqualTo(50));
            Assert.That(samples.Keys, Does.Contain("{range=\"9999\"}").And.Not.Contain("{range=\"1\"}"));
        });
    }

    [Test]
    public void TagsThatAreNotInTheCatalogAreLeftOut()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter));
        meter.CreateObservableCounter(MetricCatalog.RequestErrors.Name, () => new[]
        {
            new Measurement<long>(1, new KeyValuePair<string, object?>("node", "n1"), new KeyValuePair<string, object?>("query", "SELECT secret")),
            new Measurement<long>(2, new KeyValuePair<string, object?>("node", "n1"), new KeyValuePair<string, object?>("query", "SELECT other")),
        });
        var text = Scrape(collector);
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Not.Contain("SELECT"));
            Assert.That(text, Does.Contain("shardproxy_request_errors_total{node=\"n1\"} 3\n"));
        });
    }

    [Test]
    public void AnInstrumentOutsideTheCatalogOrOnAnotherMeterIsNotServed()
    {
        using var meter = new Meter(MetricMeters.DataPath);
        using var stranger = new Meter("Somebody.Else");
        using var collector = new MetricCollector(m => ReferenceEquals(m, meter) || ReferenceEquals(m, stranger));
        meter.CreateObservableGauge("shardproxy_invented", () => 1);
        stranger.CreateObservableGauge(MetricCatalog.HeldStatements.Name, () => 77);
        var text = Scrape(collector);
        Assert.That(text, Does.Not.Contain("invented").And.Not.Contain("77"));
    }

    [TestCase(double.NaN, "NaN")]
    [TestCase(double.PositiveInfinity, "+Inf")]
    [TestCase(double.NegativeInfinity, "-Inf")]
    [TestCase(1e21, "1E+21")]
    [TestCase(0.1, "0.1")]
    public void NumbersAreReadableForGo(double value, string text) => Assert.That(PrometheusText.Number(value), Is.EqualTo(text));

    [Test]
    public async Task RecordingAndScrapingAtTheSameTimeLosesNothing()
    {
        var counter = _meter.CreateCounter<long>(MetricCatalog.PoolTimeouts.Name);
        var writers = Enumerable.Range(0, 4).Select(n => Task.Run(() =>
        {
            for (var i = 0; i < 5_000; i++)
            {
                counter.Add(1, new KeyValuePair<string, object?>("node", $"n{n % 2}"));
            }
        })).ToArray();
        var all = Task.WhenAll(writers);
        while (!all.IsCompleted)
        {
            Scrape(_collector);
        }

        await all;
        Assert.That(Samples(Scrape(_collector), MetricCatalog.PoolTimeouts.Name).Values.Sum(), Is.EqualTo(20_000));
    }

    internal static string Scrape(MetricCollector collector)
    {
        using var writer = new StringWriter();
        collector.Write(writer);
        return writer.ToString();
    }

    internal static Dictionary<string, double> Samples(string text, string name) => text.Split('\n')
        .Where(line => line.StartsWith(name + "{", StringComparison.Ordinal) || line.StartsWith(name + " ", StringComparison.Ordinal))
        .ToDictionary(
            line => line[name.Length..line.LastIndexOf(' ')],
            line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));

    private static Measurement<long> Of(long value, string range) => new(value, new KeyValuePair<string, object?>("range", range));
}
