using System.Net;
using NUnit.Framework;
using ShardProxy.Configuration;

namespace ShardProxy.Functional.Tests.Configuration;

// Protects whoever writes a configuration: everything wrong is named at once with its line and a remedy, nothing is ignored in
// silence, every key works as a variable too, and no secret is ever printed.
[TestFixture]
internal sealed class ConfigurationLoaderTests
{
    private const string Minimal =
        """
        database: app
        nodes:
          - name: node1
            uri: postgresql://manager@10.0.0.1/app
        users:
          - name: app
            password: app-secret
            admin: true
        """;

    private static readonly Dictionary<string, string> NoVariables = [];

    [Test]
    public void A_minimal_file_gives_every_default()
    {
        var loaded = Load(Minimal);
        Assert.That(loaded.Problems, Is.Empty);
        Assert.That(loaded.Warnings, Is.Empty);
        var options = loaded.Options!;
        Assert.That(options.Listen, Is.EqualTo(new IPEndPoint(IPAddress.Loopback, 6432)));
        Assert.That(options.Admin, Is.EqualTo(new IPEndPoint(IPAddress.Loopback, 6433)));
        Assert.That(options.TrustsClients, Is.False);
        Assert.That(options.Pool, Is.EqualTo(new PoolOptions(20, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10))));
        Assert.That(options.HomeNode.Name, Is.EqualTo("node1"));
        Assert.That(options.HomeNode.Address, Is.EqualTo(new ServerAddress("10.0.0.1", 5432, "manager", null, "app")));
        Assert.That(options.Catalog, Is.EqualTo(new CatalogOptions(CatalogKind.Postgres, options.HomeNode.Address)));
        Assert.That(options.Users.Single().Password!.Reveal(), Is.EqualTo("app-secret"));
    }

    [Test]
    public void A_variable_wins_over_the_file_and_can_add_a_node()
    {
        var loaded = Load(Minimal + "\nlisten:\n  port: 7000\n", new()
        {
            ["SHARDPROXY_LISTEN_PORT"] = "7001",
            ["SHARDPROXY_NODES_1_PASSWORD"] = "from-variable",
            ["SHARDPROXY_NODES_2_NAME"] = "node2",
            ["SHARDPROXY_NODES_2_URI"] = "postgresql://manager:p%40ss@10.0.0.2:6000/other",
            ["SHARDPROXY_NODES_2_HOME"] = "true",
        });
        Assert.That(loaded.Problems, Is.Empty);
        Assert.That(loaded.Options!.Listen.Port, Is.EqualTo(7001));
        Assert.That(loaded.Options.Nodes[0].Address.Password!.Reveal(), Is.EqualTo("from-variable"));
        var second = loaded.Options.HomeNode;
        Assert.That((second.Name, second.Address.Port, second.Address.Database), Is.EqualTo(("node2", 6000, "other")));
        Assert.That(second.Address.Password!.Reveal(), Is.EqualTo("p@ss"));
    }

    private static IEnumerable<string> Paths => ConfigurationSchema.All.Select(s => s.Path);

    [TestCaseSource(nameof(Paths))]
    public void Every_key_is_read_from_its_variable(string path)
    {
        var full = path.Replace("[]", "[1]", StringComparison.Ordinal);
        var variable = EnvironmentSource.VariableOf(full);
        var loaded = Load(Minimal, new() { [variable] = "a value" });
        Assert.That(loaded.Values.Find(full), Is.EqualTo(new ConfiguredValue("a value", variable)));
        Assert.That(loaded.Warnings.Where(w => w.Contains(variable, StringComparison.Ordinal)), Is.Empty);
    }

    [TestCaseSource(nameof(Paths))]
    public void Every_default_passes_its_own_check(string path)
    {
        var setting = ConfigurationSchema.Find(path)!;
        if (setting.Default is not { } value)
        {
            Assert.That(setting.Example, Is.Not.Empty, "without a default there is an example");
            return;
        }

        // An item needs what is required of one.
        var item = path.StartsWith("authentication.rules[]", StringComparison.Ordinal) ? "\nauthentication:\n  rules: [{ method: scram-sha-256 }]" : "";
        var loaded = Load(Minimal + item, new() { [EnvironmentSource.VariableOf(path.Replace("[]", "[1]", StringComparison.Ordinal))] = value });
        Assert.That(loaded.Problems, Is.Empty);
    }

    [TestCase("lisen:\n  port: 1", 1, "lisen", "did you mean \"listen\"?")]
    [TestCase("listen:\n  prot: 1", 2, "listen.prot", "did you mean \"port\"?")]
    [TestCase("listen:\n  port: 70000", 2, "listen.port", "from 0 to 65535; write for example \"port: 6432\"")]
    [TestCase("pool:\n  size: many", 2, "pool.size", "\"many\" is not a whole number from 1 to 10000")]
    [TestCase("catalog:\n  kind: etdc", 2, "catalog.kind", "none of postgres, etcd, memory")]
    [TestCase("pool: 20", 1, "pool", "expected keys below it: size")]
    [TestCase("pool:\n  size: [1]", 2, "pool.size", "expected one value")]
    [TestCase("proxy_id: 'Proxy 1'", 1, "proxy_id", "lower-case letters")]
    [TestCase("admin:\n  host: db.example.com", 2, "admin.host", "not an address of this machine")]
    [TestCase("log: {level: loud}", 1, "log.level", "none of trace")]
    [TestCase("catalog:\n  uri: 'http://example.com'", 2, "catalog.uri", "write postgresql://")]
    public void A_fault_is_named_with_its_line_its_key_and_the_remedy(string added, int line, string path, string remedy)
    {
        var problem = Load(Minimal + "\n" + added + "\n").Problems.Single();
        var offset = Minimal.Split('\n').Length;
        Assert.That(problem.Source, Is.EqualTo($"shardproxy.yaml:{offset + line}"));
        Assert.That(problem.Path, Is.EqualTo(path));
        Assert.That(problem.Message, Does.Contain(remedy));
    }

    [Test]
    public void All_faults_are_reported_at_once_and_there_are_no_options()
    {
        var loaded = Load("nodes:\n  - uri: postgresql://x\n  - name: a\nusers: []\n");
        Assert.That(loaded.Options, Is.Null);
        Assert.That(
            loaded.Problems.Select(p => p.Path), Is.EquivalentTo(new[] { "database", "nodes[1].name", "nodes[1].uri", "nodes[2].uri", "users" }));
        Assert.That(loaded.Problems.Single(p => p.Path == "nodes[2].uri").Message, Does.Contain("SHARDPROXY_NODES_2_URI"));
    }

    [Test]
    public void Text_that_is_not_yaml_is_a_problem_with_its_line()
    {
        var problem = Load("database: app\nnodes: [\n").Problems[0];
        Assert.That(problem.Source, Does.StartWith("shardproxy.yaml:"));
        Assert.That(problem.Message, Does.StartWith("not valid YAML"));
    }

    [Test]
    public void Two_home_nodes_or_equal_names_are_refused()
    {
        var loaded = Load(Minimal + "\n", new()
        {
            ["SHARDPROXY_NODES_1_HOME"] = "true",
            ["SHARDPROXY_NODES_2_NAME"] = "node1",
            ["SHARDPROXY_NODES_2_URI"] = "postgresql://m@h/d",
            ["SHARDPROXY_NODES_2_HOME"] = "true",
        });
        Assert.That(loaded.Problems.Select(p => p.Path), Is.EquivalentTo(new[] { "nodes[2].name", "nodes[2].home" }));
    }

    [Test]
    public void An_unknown_variable_is_a_warning_and_a_container_platforms_own_is_none()
    {
        var loaded = Load(Minimal, new() { ["SHARDPROXY_POOL_SISE"] = "1", ["SHARDPROXY_SERVICE_HOST"] = "10.1.1.1", ["SHARDPROXY_PORT_6432_TCP"] = "tcp://10.1.1.1:6432" });
        Assert.That(loaded.Problems, Is.Empty);
        Assert.That(loaded.Warnings.Single(), Does.Contain("SHARDPROXY_POOL_SISE").And.Contain("SHARDPROXY_POOL_SIZE"));
    }

    [Test]
    public void A_password_comes_from_a_file_and_a_missing_or_empty_one_is_a_problem()
    {
        var directory = Directory.CreateTempSubdirectory("shardproxy-config-").FullName;
        try
        {
            var file = Path.Combine(directory, "app");
            File.WriteAllText(file, "from file\n");
            var text = Minimal.Replace("password: app-secret", $"password_file: {file}", StringComparison.Ordinal);
            Assert.That(Load(text).Options!.Users.Single().Password!.Reveal(), Is.EqualTo("from file"));

            File.WriteAllText(file, "\n");
            Assert.That(Load(text).Problems.Single().Message, Does.Contain("is empty"));
            File.Delete(file);
            Assert.That(Load(text).Problems.Single().Message, Does.Contain("cannot be read"));
            Assert.That(Load(text.Replace("admin: true", "password: x", StringComparison.Ordinal)).Problems.Select(p => p.Message), Has.Some.Contains("both password and password_file"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public void No_secret_is_printed_neither_as_effective_configuration_nor_in_a_problem()
    {
        const string Secrets =
            """
            database: app
            nodes:
              - name: node1
                uri: postgresql://manager:hush-uri@10.0.0.1/app
              - name: node2
                uri: nonsense:hush-uri@10.0.0.1
                password: hush-node
            users:
              - name: app
                password: hush-user
            catalog: { uri: 'postgresql://m:hush-catalog@h/d', password: hush-catalog }
            """;
        var loaded = Load(Secrets);
        var printed = new StringWriter();
        EffectiveConfiguration.Write(loaded.Values, printed);
        var right = Load(Minimal);
        var all = $"{printed}\n{string.Join('\n', loaded.Problems)}\n{string.Join('\n', loaded.Warnings)}\n{right.Options}\n{right.Options!.Users[0]}\n{right.Options.Nodes[0]}";
        Assert.That(all, Does.Contain("postgresql://manager:********@10.0.0.1/app"));
        Assert.That(all, Does.Not.Contain("hush").And.Not.Contain("app-secret"));
    }

    [Test]
    public void What_is_printed_reads_back_to_the_same_values()
    {
        var loaded = Load(Minimal + "\npool: { size: 31 }\nproxy_id: p-2\n");
        var printed = new StringWriter();
        EffectiveConfiguration.Write(loaded.Values, printed);
        var again = Load(printed.ToString());
        Assert.That(again.Problems, Is.Empty);
        Assert.That(again.Options!.Pool, Is.EqualTo(loaded.Options!.Pool));
        Assert.That(again.Options.ProxyId, Is.EqualTo("p-2"));
        Assert.That(again.Options.Nodes.Select(n => (n.Name, n.Address.Host, n.IsHome)), Is.EqualTo(loaded.Options.Nodes.Select(n => (n.Name, n.Address.Host, n.IsHome))));
    }

    private static LoadedConfiguration Load(string text, Dictionary<string, string>? environment = null) =>
        ConfigurationLoader.Load(new StringReader(text), "shardproxy.yaml", environment ?? NoVariables);
}
