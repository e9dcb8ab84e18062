using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Unit.Tests.Admin.Metrics;

// Protects the names and labels dashboards and alerts are built on, and that docs/metrics.md says exactly what is served.
internal sealed class MetricCatalogTests
{
    private static readonly string[] AllowedLabels = ["node", "range", "kind", "code", "direction", "state", "outcome", "migration", "generation", "reason", "slot"];

    [Test]
    public void EveryMetricIsListedOnce()
    {
        var fields = typeof(MetricCatalog).GetFields().Where(f => f.FieldType == typeof(MetricDefinition)).Select(f => (MetricDefinition)f.GetValue(null)!).ToList();
        Assert.That(MetricCatalog.All, Is.EquivalentTo(fields));
        Assert.That(MetricCatalog.All.Select(m => m.Name), Is.Unique);
    }

    [Test]
    public void NamesFollowPrometheusConventions()
    {
        foreach (var metric in MetricCatalog.All)
        {
            Assert.That(metric.Name, Does.Match("^[a-z][a-z0-9_]*$"));
            Assert.That(metric.Name.EndsWith("_total", StringComparison.Ordinal), Is.EqualTo(metric.Type == MetricType.Counter), metric.Name);
            Assert.That(metric.Help, Does.EndWith("."), metric.Name);
            if (metric.Unit is "seconds" or "bytes" or "ratio")
            {
                Assert.That(metric.Name.Replace("_total", "", StringComparison.Ordinal), Does.EndWith("_" + metric.Unit), metric.Name);
            }

            Assert.That(metric.Buckets.IsEmpty, Is.EqualTo(metric.Type != MetricType.Histogram), metric.Name);
            Assert.That(metric.Buckets, Is.Ordered.And.Unique, metric.Name);
            Assert.That(AllowedLabels, Is.SupersetOf(metric.Labels), $"{metric.Name}: a label may hold no query text and no user's value");
        }
    }

    [Test]
    public void TheDocumentSaysWhatIsServed()
    {
        var path = RepositoryFiles.Path("docs", "metrics.md");
        var expected = MetricsDocument.Render();
        if (Environment.GetEnvironmentVariable("SHARDPROXY_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(path, expected);
        }

        Assert.That(File.ReadAllText(path), Is.EqualTo(expected), "write it anew: SHARDPROXY_UPDATE_DOCS=1 dotnet test test/ShardProxy.Unit.Tests");
    }

    [Test]
    public void NoMetricIsNamedInSourceOutsideTheCatalog()
    {
        var named = new Regex("\"(shardproxy|process|dotnet)_[a-z0-9_]+\"");
        var strays = Directory.EnumerateFiles(RepositoryFiles.Path("src"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.EndsWith("MetricCatalog.cs", StringComparison.Ordinal) && !f.Contains("/obj/", StringComparison.Ordinal))
            .Where(f => File.ReadLines(f).Any(line => line.Contains("Create", StringComparison.Ordinal) && named.IsMatch(line)))
            .ToList();
        Assert.That(strays, Is.Empty);
    }
}
