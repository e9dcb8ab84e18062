using System.Net;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Tls;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the end of `serve` and its RELOAD, with real signals and files: transactions under way finish, idle clients are told, a second signal
// does not wait, and what an administrator writes into the configuration counts from the next log-in and statement on.
[TestFixture]
internal sealed class DrainTests
{
    private const int Terminate = 15;
    private TestCluster _cluster = null!;
    private DirectoryInfo _directory = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _directory = Directory.CreateTempSubdirectory("shardproxy-test-");
        _cluster = await TestCluster.StartAsync(nodes: 2);
        await _cluster.ExecuteOnAllAsync("CREATE ROLE early LOGIN PASSWORD 'early-secret'; CREATE ROLE late LOGIN PASSWORD 'late-secret'");
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _cluster.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_signal_lets_transactions_finish_and_sends_the_idle_away(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(Configured("drained", new ServeSections("shutdown: { drain_timeout_ms: 60000 }")), cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE finished (id int)", cancellationToken);
        await using var idle = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        await idle.RunAsync("SELECT 1", cancellationToken);
        await using var inTransaction = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        await inTransaction.RunAsync("BEGIN", cancellationToken);
        await inTransaction.RunAsync("INSERT INTO finished VALUES (1)", cancellationToken);
        await using var working = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        var statement = working.RunAsync("INSERT INTO finished SELECT 2 FROM pg_sleep(2)", cancellationToken);
        proxy.Signal(Terminate);

        var told = Assert.ThrowsAsync<PostgresException>(async () => await WaitForEndAsync(idle, cancellationToken))!;
        Assert.That((told.SqlState, told.Detail), Is.EqualTo(("57P01", "SHP-105")));
        Assert.That(async () => await (await Db.OpenAsync(proxy.ConnectionString(), cancellationToken)).DisposeAsync(), Throws.InstanceOf<NpgsqlException>(), "a new client was taken");
        using (var http = new HttpClient { BaseAddress = proxy.Http })
        {
            Assert.That((await http.GetAsync(new Uri("readyz", UriKind.Relative), cancellationToken)).StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        }

        Assert.That(await statement, Is.EqualTo(1), "a statement under way was cut");
        await inTransaction.RunAsync("INSERT INTO finished VALUES (3)", cancellationToken);
        Assert.That(proxy.HasExited, Is.False);
        await inTransaction.RunAsync("COMMIT", cancellationToken);
        Assert.That(await proxy.WaitForExitAsync(cancellationToken), Is.Zero, proxy.Output);
        Assert.That(await _cluster.ScalarAsync<string>(0, "SELECT string_agg(id::text, ',' ORDER BY id) FROM finished", cancellationToken), Is.EqualTo("1,2,3"));
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_second_signal_does_not_wait(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(Configured("hurried", new ServeSections("shutdown: { drain_timeout_ms: 3600000 }")), cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE unfinished (id int)", cancellationToken);
        await using var idle = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        await using var inTransaction = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        await inTransaction.RunAsync("BEGIN", cancellationToken);
        await inTransaction.RunAsync("INSERT INTO unfinished VALUES (1)", cancellationToken);
        proxy.Signal(Terminate);
        Assert.ThrowsAsync<PostgresException>(async () => await WaitForEndAsync(idle, cancellationToken));
        Assert.That(proxy.HasExited, Is.False, "it did not wait for the transaction");
        proxy.Signal(Terminate);
        Assert.That(await proxy.WaitForExitAsync(cancellationToken), Is.Zero, proxy.Output);
        Assert.That(async () => await inTransaction.RunAsync("COMMIT", cancellationToken), Throws.InstanceOf<NpgsqlException>());
        await Eventually.IsTrueAsync(
            async () => await _cluster.ScalarAsync<long>(0, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'", cancellationToken) == 0,
            TimeSpan.FromSeconds(20), "its transaction is still open", cancellationToken);
        Assert.That(await _cluster.ScalarAsync<long>(0, "SELECT count(*) FROM unfinished", cancellationToken), Is.Zero);
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task Reload_brings_users_rules_limits_and_certificates(CancellationToken cancellationToken)
    {
        const string early = "  - { name: early, password: early-secret }";
        using var authority = new TestAuthority();
        var certificate = authority.IssueServer();
        var listen = $"  tls: {{ mode: allow, certificate_file: {certificate.CertificateFile}, key_file: {certificate.KeyFile} }}";
        var options = Configured("reloaded", new ServeSections("", listen, early));
        await using var proxy = await ProxyProcess.StartAsync(options, cancellationToken);
        await using var open = await Db.OpenAsync(As(proxy, "early"), cancellationToken);
        Assert.That(StateOf(As(proxy, "late"), cancellationToken), Is.EqualTo("28P01"));

        // A file with a fault changes nothing.
        ServeFile.WriteAgain(options, _cluster, new ServeSections("pool: { size: many }", listen, early));
        await using (var faulty = await ConsoleClient.OpenAsync(proxy, cancellationToken))
        {
            var refused = Assert.ThrowsAsync<PostgresException>(async () => await faulty.RunAsync("RELOAD", cancellationToken))!;
            Assert.That(refused.Detail, Does.StartWith("SHP-641"));
        }


        var next = authority.IssueServer();
        ServeFile.WriteAgain(
            options,
            _cluster,
            new ServeSections(
                """
                authentication:
                  rules: [{ user: early, method: reject }, { method: scram-sha-256 }]
                limits: { max_user_connections: 3 }
                """,
                listen,
                early + "\n  - { name: late, password: late-secret, statement_timeout_ms: 300 }"));
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync("RELOAD", cancellationToken);
        Assert.That(StateOf(As(proxy, "early"), cancellationToken), Is.EqualTo("28000"), "a rule");
        Assert.That(await open.RunAsync("SELECT 1", cancellationToken), Is.EqualTo(-1), "who is there stays");
        var slow = await PostgresProgram.PsqlAsync(As(proxy, "late"), cancellationToken, "-c", "SELECT pg_sleep(30)");
        Assert.That(slow.Errors, Does.Contain("SHP-143"), "a user's limit");
        await using (var late = await Db.OpenAsync(As(proxy, "late"), cancellationToken))
        {
            await using var second = await Db.OpenAsync(As(proxy, "late"), cancellationToken);
            await using var third = await Db.OpenAsync(As(proxy, "late"), cancellationToken);
            Assert.That(StateOf(As(proxy, "late"), cancellationToken), Is.EqualTo("53300"), "a limit for all");
        }

        Assert.That(await ShownCertificate.ThumbprintAsync(proxy.Address("proxy").Port, cancellationToken), Is.EqualTo(next.Thumbprint));
        Assert.That((await console.RowsAsync("SHOW CONFIG", cancellationToken)).Single(r => r["key"] == "limits.max_user_connections")["value"], Is.EqualTo("3"));
    }

    // Npgsql reads what a server says of itself when it is asked to wait.
    private static async Task WaitForEndAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        while (true)
        {
            await connection.WaitAsync(cancellationToken);
        }
    }

    private static string As(ProxyProcess proxy, string user) =>
        new NpgsqlConnectionStringBuilder(proxy.ConnectionString()) { Username = user, Password = user + "-secret", SslMode = SslMode.Disable }.ConnectionString;

    private static string? StateOf(string connectionString, CancellationToken cancellationToken) =>
        Assert.ThrowsAsync<PostgresException>(async () => await (await Db.OpenAsync(connectionString, cancellationToken)).DisposeAsync())!.SqlState;

    private ProxyProcessOptions Configured(string id, ServeSections sections) => ServeFile.Write(Path.Combine(_directory.FullName, id + ".yaml"), _cluster, sections);
}
