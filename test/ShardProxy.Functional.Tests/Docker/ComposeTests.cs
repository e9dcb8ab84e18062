using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Configuration;
using YamlDotNet.RepresentationModel;

namespace ShardProxy.Functional.Tests.Docker;

// Protects the first try with containers where no container engine is at hand: the sample's configuration is right with the variables
// the compose file sets, names only nodes that file starts, and those have the settings that range moves demand.
[TestFixture]
internal sealed partial class ComposeTests
{
    private static readonly string Docker = Path.Combine(Root(), "docker");

    private static readonly YamlMappingNode Services = (YamlMappingNode)Read("docker-compose.yml")["services"];

    [Test]
    public void The_samples_configuration_is_right_with_the_variables_of_the_compose_file()
    {
        var environment = ((YamlMappingNode)Services["proxy"]["environment"]).Children.ToDictionary(
            e => e.Key.ToString(), e => Default().Replace(e.Value.ToString(), "$1"), StringComparer.Ordinal);
        using var text = new StreamReader(Path.Combine(Docker, "shardproxy.yaml"));
        var loaded = ConfigurationLoader.Load(text, "docker/shardproxy.yaml", environment);
        Assert.That(loaded.Problems, Is.Empty);
        // The sample has no certificates; its network is that of the compose file.
        Assert.That(loaded.Warnings.Select(w => w.Split(';')[0]), Is.EqualTo(new[] { "the HTTP side's token crosses the network in clear" }));
        Assert.That(loaded.Options!.Nodes.Select(n => n.Address.Host), Is.SubsetOf(Services.Children.Keys.Select(k => k.ToString())));
        Assert.That(loaded.Options.Nodes.Select(n => n.Address.Password!.Reveal()), Is.All.EqualTo("app"));
    }

    [Test]
    public void The_nodes_have_the_settings_that_range_moves_demand()
    {
        var node = (YamlMappingNode)Read("docker-compose.yml")["x-node"];
        var arguments = ((YamlSequenceNode)node["command"]).Select(a => a.ToString());
        Assert.That(arguments, Is.SupersetOf(new[] { "-cwal_level=logical", "-cmax_prepared_transactions=200", "-cwal_retrieve_retry_interval=100ms" }));
    }

    [Test]
    public void Prometheus_asks_the_container_whose_network_the_proxy_shares()
    {
        Assert.That(Services["proxy"]["network_mode"].ToString(), Is.EqualTo("service:client"));
        Assert.That(Read("prometheus/prometheus.yml").ToString(), Does.Contain("client:6433"));
        var token = Default().Replace(((YamlMappingNode)Services["proxy"]["environment"])["SHARDPROXY_ADMIN_TOKEN"].ToString(), "$1");
        Assert.That(Read("prometheus/prometheus.yml").ToString(), Does.Contain(token));
    }

    [Test]
    public void The_engine_waits_for_as_long_as_the_proxy_drains()
    {
        using var text = new StreamReader(Path.Combine(Docker, "shardproxy.yaml"));
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SHARDPROXY_USERS_1_PASSWORD"] = "app", ["SHARDPROXY_ADMIN_TOKEN"] = "token" };
        var drain = ConfigurationLoader.Load(text, "docker/shardproxy.yaml", environment).Options!.DrainTimeout;
        var grace = Services["proxy"]["stop_grace_period"].ToString();
        Assert.That(grace, Does.EndWith("s"));
        Assert.That(TimeSpan.FromSeconds(int.Parse(grace[..^1], System.Globalization.CultureInfo.InvariantCulture)), Is.GreaterThan(drain));
    }

    [Test]
    public void The_image_restores_every_project_of_the_executable()
    {
        var dockerfile = File.ReadAllText(Path.Combine(Docker, "Dockerfile"));
        var projects = Directory.EnumerateDirectories(Path.Combine(Root(), "src")).Select(Path.GetFileName).ToList();
        Assert.That(projects.Where(p => !dockerfile.Contains($"COPY src/{p}/*.csproj src/{p}/packages.lock.json src/{p}/", StringComparison.Ordinal)), Is.Empty);
    }

    private static YamlMappingNode Read(string file)
    {
        var stream = new YamlStream();
        using var text = new StreamReader(Path.Combine(Docker, file));
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

    [GeneratedRegex(@"^\$\{\w+:-(\w*)\}$")]
    private static partial Regex Default();
}
