using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Functional.Tests.Admin;
using ShardProxy.Model.Metrics;
using YamlDotNet.RepresentationModel;

namespace ShardProxy.Functional.Tests.Docker;

// Protects whoever is on call: Prometheus takes the alerts, each of them fires when it should and not before, is made of metrics that exist, and says what to
// do; and the containers' Prometheus loads them.
[TestFixture]
internal sealed partial class AlertTests
{
    private static readonly string Rules = Path.Combine(Root(), "docker", "prometheus", "alerts.yml");
    private static readonly string Cases = Path.Combine(Root(), "test", "ShardProxy.Functional.Tests", "Docker", "alerts-tests.yml");

    [Test]
    public async Task Prometheus_takes_the_rules()
    {
        var (exitCode, output) = await Promtool.RunAsync(["check", "rules", Rules]);
        Assert.That(exitCode, Is.Zero, output);
    }

    [Test]
    public async Task Every_alert_fires_when_it_should_and_not_before()
    {
        var (exitCode, output) = await Promtool.RunAsync(["test", "rules", Cases]);
        Assert.That(exitCode, Is.Zero, output);
    }

    [Test]
    public void Every_alert_is_tested_both_ways()
    {
        var tested = ((YamlSequenceNode)Read(Cases)["tests"]).SelectMany(t => (YamlSequenceNode)t["alert_rule_test"])
            .GroupBy(t => t["alertname"].ToString(), t => ((YamlSequenceNode)t["exp_alerts"]).Children.Count > 0);
        Assert.That(tested.Where(t => t.Contains(true) && t.Contains(false)).Select(t => t.Key), Is.EquivalentTo(Alerts().Select(a => a["alert"].ToString())));
    }

    [Test]
    public void Alerts_are_made_of_metrics_that_exist_and_say_what_to_do()
    {
        foreach (var alert in Alerts())
        {
            var name = alert["alert"].ToString();
            var metrics = MetricName().Matches(alert["expr"].ToString()).Select(m => m.Value).Distinct().ToList();
            Assert.That(metrics.Count > 0 || name == "ShardProxyDown", Is.True, name);
            Assert.That(metrics, Is.SubsetOf(MetricCatalog.All.Select(m => m.Name)), name);
            Assert.That(alert["labels"]["severity"].ToString(), Is.AnyOf("critical", "warning", "info"), name);
            Assert.That(alert["annotations"]["summary"].ToString(), Does.EndWith("."), name);
            Assert.That(alert["annotations"]["description"].ToString(), Has.Length.GreaterThan(60), $"{name}: say what to do next");
        }
    }

    [Test]
    public void The_containers_Prometheus_loads_them()
    {
        var rules = (YamlSequenceNode)Read(Path.Combine(Root(), "docker", "prometheus", "prometheus.yml"))["rule_files"];
        Assert.That(rules.Select(r => r.ToString()), Is.EqualTo(new[] { "alerts.yml" }));
        var volumes = (YamlSequenceNode)Read(Path.Combine(Root(), "docker", "docker-compose.yml"))["services"]["prometheus"]["volumes"];
        Assert.That(volumes.Select(v => v.ToString()), Does.Contain("./prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro"));
    }

    private static IEnumerable<YamlNode> Alerts() => ((YamlSequenceNode)Read(Rules)["groups"]).SelectMany(g => (YamlSequenceNode)g["rules"]);

    private static YamlMappingNode Read(string path)
    {
        var stream = new YamlStream();
        using var text = new StreamReader(path);
        stream.Load(text);
        return (YamlMappingNode)stream.Documents[0].RootNode;
    }

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "ShardProxy.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("ShardProxy.sln is not above the test assembly");
        }

        return directory;
    }

    [GeneratedRegex(@"shardproxy_\w+(?=[{\[)\s])")]
    private static partial Regex MetricName();
}
