using System.Net;
using System.Text.Json;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.LocalCluster;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Tls;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects production's verb: `serve` over servers that exist, the console closed to ordinary users, and
// a readiness that tells when a node is away.
[TestFixture]
internal sealed class ServeTests
{
    private const string Reader = "reader";
    private const string ReaderPassword = "reader-secret";

    private TestCluster _cluster = null!;
    private DirectoryInfo _directory = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _directory = Directory.CreateTempSubdirectory("shardproxy-test-");
        _cluster = await TestCluster.StartAsync(nodes: 2);
        await _cluster.ExecuteOnAllAsync($"CREATE ROLE {Reader} LOGIN PASSWORD '{ReaderPassword}'");
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _cluster.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task It_serves_servers_that_exist_and_the_next_one_goes_on(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(Configured("first"), cancellationToken);
        Assert.That(proxy.OutputLines, Is.EqualTo(new[] { "ready" }));
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE served (id int PRIMARY KEY)", cancellationToken);
        await using (var console = await ConsoleClient.OpenAsync(proxy, cancellationToken))
        {
            await console.RunAsync("SHARD TABLE served BY HASH (id)", cancellationToken);
        }

        await Db.CopyInAsync(proxy.ConnectionString(), "served", Enumerable.Range(1, 200).Select(i => $"{i}"), cancellationToken);
        var held = new[] { await CountAsync(0, cancellationToken), await CountAsync(1, cancellationToken) };
        Assert.That(held.Sum(), Is.EqualTo(200));
        Assert.That(held, Is.All.Positive);

        // The lease is given up by an orderly end.
        proxy.Signal(15);
        Assert.That(await proxy.WaitForExitAsync(cancellationToken), Is.Zero, proxy.Output);
        await using var next = await ProxyProcess.StartAsync(Configured("third"), cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(next.ConnectionString(), "SELECT count(*) FROM served", cancellationToken), Is.EqualTo(200));
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task The_console_is_for_admins_only(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(Configured("admins"), cancellationToken);
        var asReader = new NpgsqlConnectionStringBuilder(proxy.ConsoleConnectionString) { Username = Reader, Password = ReaderPassword }.ConnectionString;
        var refused = Assert.ThrowsAsync<PostgresException>(async () => await (await Db.OpenAsync(asReader, cancellationToken)).DisposeAsync());
        Assert.That(refused!.SqlState, Is.EqualTo("42501").Or.EqualTo("28000"), refused.MessageText);
        var toData = new NpgsqlConnectionStringBuilder(proxy.ConnectionString()) { Username = Reader, Password = ReaderPassword }.ConnectionString;
        Assert.That(await Db.ScalarAsync<string>(toData, "SELECT current_user::text", cancellationToken), Is.EqualTo(Reader));
        var wrong = new NpgsqlConnectionStringBuilder(proxy.ConsoleConnectionString) { Password = "wrong" }.ConnectionString;
        var failed = Assert.ThrowsAsync<PostgresException>(async () => await (await Db.OpenAsync(wrong, cancellationToken)).DisposeAsync());
        Assert.That(failed!.SqlState, Is.EqualTo("28P01"));
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task Readiness_tells_that_a_node_is_away_and_that_it_is_back(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(Configured("readiness"), cancellationToken);
        using var http = new HttpClient { BaseAddress = proxy.Http };
        Assert.That((await http.GetAsync(new Uri("readyz", UriKind.Relative), cancellationToken)).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        await _cluster.Nodes[1].StopAsync(StopMode.Immediate);
        try
        {
            await UntilReadinessIsAsync(http, HttpStatusCode.ServiceUnavailable, cancellationToken);
            using var body = JsonDocument.Parse(await (await http.GetAsync(new Uri("readyz", UriKind.Relative), cancellationToken)).Content.ReadAsStringAsync(cancellationToken));
            var nodes = body.RootElement.GetProperty("checks").EnumerateArray().Single(c => c.GetProperty("name").GetString() == "nodes");
            Assert.That(nodes.GetProperty("reason").GetString(), Does.Contain("node2"));
            // Alive all the same, and the home node's tables too.
            Assert.That((await http.GetAsync(new Uri("healthz", UriKind.Relative), cancellationToken)).StatusCode, Is.EqualTo(HttpStatusCode.OK));
            Assert.That(await Db.ScalarAsync<int>(proxy.ConnectionString(), "SELECT 1", cancellationToken), Is.EqualTo(1));
        }
        finally
        {
            await _cluster.Nodes[1].StartAsync(CancellationToken.None);
        }

        await UntilReadinessIsAsync(http, HttpStatusCode.OK, cancellationToken);
        foreach (var path in new[] { "nodes", "tables", "groups", "ranges", "load", "forecasts", "plans", "migrations", "version" })
        {
            using var answer = JsonDocument.Parse(await http.GetStringAsync(new Uri($"api/{path}", UriKind.Relative), cancellationToken));
            Assert.That(answer.RootElement.ValueKind, Is.EqualTo(JsonValueKind.Array).Or.EqualTo(JsonValueKind.Object), path);
        }
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_new_certificate_is_read_on_sighup_and_read_only_users_only_look(CancellationToken cancellationToken)
    {
        using var authority = new TestAuthority();
        var first = authority.IssueServer();
        await using var proxy = await ProxyProcess.StartAsync(
            Configured("encrypted", $"  tls: {{ mode: require, certificate_file: {first.CertificateFile}, key_file: {first.KeyFile} }}", "    monitor: true"), cancellationToken);
        var connection = new NpgsqlConnectionStringBuilder(proxy.ConsoleConnectionString)
        {
            Username = Reader,
            Password = ReaderPassword,
            SslMode = SslMode.VerifyFull,
            Host = "localhost",
            RootCertificate = authority.CertificateFile,
            Pooling = false,
        }.ConnectionString;
        await using (var console = await Db.OpenAsync(connection, cancellationToken))
        {
            await using var show = new NpgsqlCommand("SHOW VERSION", console);
            Assert.That(await show.ExecuteScalarAsync(cancellationToken), Is.Not.Null);
            await using var change = new NpgsqlCommand("SET PLANNER MODE off", console);
            Assert.That(async () => await change.ExecuteNonQueryAsync(cancellationToken), Throws.TypeOf<PostgresException>().With.Property("SqlState").EqualTo("42501"));
        }

        var second = authority.IssueServer();
        proxy.Signal(1);
        await Eventually.IsTrueAsync(
            async () => await ShownCertificate.ThumbprintAsync(proxy.Address("proxy").Port, cancellationToken) == second.Thumbprint, TimeSpan.FromSeconds(30), "the new certificate is not shown", cancellationToken);
        Assert.That(proxy.HasExited, Is.False, proxy.Output);
        var clear = new NpgsqlConnectionStringBuilder(proxy.ConnectionString()) { SslMode = SslMode.Disable, Pooling = false }.ConnectionString;
        Assert.That(async () => await (await Db.OpenAsync(clear, cancellationToken)).DisposeAsync(), Throws.TypeOf<PostgresException>().With.Property("SqlState").EqualTo("28000"));
    }

    private static Task UntilReadinessIsAsync(HttpClient http, HttpStatusCode status, CancellationToken cancellationToken) => Eventually.IsTrueAsync(
        async () => (await http.GetAsync(new Uri("readyz", UriKind.Relative), cancellationToken)).StatusCode == status,
        TimeSpan.FromSeconds(30),
        $"/readyz did not become {status}",
        cancellationToken);

    private Task<long> CountAsync(int node, CancellationToken cancellationToken) => _cluster.ScalarAsync<long>(node, "SELECT count(*) FROM served", cancellationToken);

    private ProxyProcessOptions Configured(string id, string listen = "", string reader = "")
    {
        var (port, adminPort) = (ServeFile.FreePort(), ServeFile.FreePort());
        var file = Path.Combine(_directory.FullName, id + ".yaml");
        File.WriteAllText(
            file,
            $"""
            proxy_id: {id}
            database: {TestCluster.Database}
            listen:
              port: {port}
            {listen}
            admin:
              port: {adminPort}
            log:
              level: warning
            nodes:
              - name: node1
                uri: postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{_cluster.Nodes[0].Port}/{TestCluster.Database}
              - name: node2
                uri: postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{_cluster.Nodes[1].Port}/{TestCluster.Database}
            users:
              - name: {TestCluster.User}
                password: {TestCluster.Password}
                admin: true
              - name: {Reader}
                password: {ReaderPassword}
            {reader}

            """);
        return new ProxyProcessOptions
        {
            ConfigFile = file,
            Addresses = new Dictionary<string, Uri>
            {
                ["proxy"] = new($"postgresql://127.0.0.1:{port}/{TestCluster.Database}"),
                ["console"] = new($"postgresql://127.0.0.1:{port}/shardproxy"),
                ["http"] = new($"http://127.0.0.1:{adminPort}/"),
            },
        };
    }
}
