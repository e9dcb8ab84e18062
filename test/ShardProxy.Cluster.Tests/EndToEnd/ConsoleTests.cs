using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects scripts that work on the console by psql: the columns of every SHOW, what EXPLAIN ROUTE says, and errors as PostgreSQL's.
[TestFixture]
internal sealed class ConsoleTests
{
    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync();
        await Db.ExecuteAsync(_proxy.ConnectionString(), "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (k text PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY)", CancellationToken.None);
        (await ConsoleAsync("SHARD TABLE a BY HASH (id)", "SHARD TABLE b BY HASH (k)", "REPLICATE TABLE c", "MOVE RANGE 1 TO node2")).Succeeded();
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [TestCase("NODES", "id|name|host|port|home|state|capacity|ranges|load", 3)]
    [TestCase("TABLES", "schema|table|placement|group|key|state", 3)]
    [TestCase("GROUPS", "id|name|method|key_types|tables|ranges|nodes", 2)]
    [TestCase("RANGES", "id|group|from|to|node|state|rows|bytes|load", 24)]
    [TestCase("MIGRATIONS", "id|group|range|source|target|state|rows_done|rows_total|eta_s|rows_verified|stall_ms|error", 1)]
    [TestCase("LOAD", "kind|id|name|calls_s|write_share|rows_s|bytes_s|busy|window_end", null)]
    [TestCase("FORECASTS", "range|step|at|forecast|lower|upper|model", null)]
    [TestCase("PLANS", "id|made_at|mode|state|steps|summary|reason", null)]
    [TestCase("SESSIONS", "id|database|user|client|application|state|nodes|pinned|pin_reason|connected_at|state_since|statements|waiting_since|transaction_ms|query_ms|tls", null)]
    [TestCase("POOLS", "node|database|user|idle|leased|opening|waiting|maximum|waited_total|max_wait_ms|minimum|reserve|reserve_in_use|longest_wait_ms|opened|closed|errors|timeouts|paused", null)]
    [TestCase("STATEMENTS", "fingerprint|statement|route|calls|errors|rows|total_ms|mean_ms|max_ms", null)]
    [TestCase("CONFIG", "key|value|source", null)]
    [TestCase("VERSION", "version|proxy_id|runtime|started_at|epoch", 1)]
    [CancelAfter(30_000)]
    public async Task Every_show_has_its_columns(string view, string columns, int? rows, CancellationToken cancellationToken)
    {
        var result = await PostgresProgram.RunAsync("psql", _proxy.ConsoleConnectionString, ["-X", "-A", "-P", "footer=off", "-c", $"SHOW {view}"], null, cancellationToken);
        var lines = result.Succeeded().Split('\n');
        // Columns only grow at the end.
        Assert.That(lines[0] + "|", Does.StartWith(columns + "|"));
        if (rows is not null)
        {
            Assert.That(lines, Has.Length.EqualTo(rows + 1), result.Output);
        }
    }

    [Test]
    public async Task Ranges_and_migrations_show_what_was_done()
    {
        Assert.That((await ConsoleAsync("SHOW RANGES")).Succeeded().Split('\n')[0], Does.StartWith("1|a|-9223372036854775808|").And.Contain("|node2|active|"));
        Assert.That((await ConsoleAsync("SHOW MIGRATIONS")).Succeeded(), Does.StartWith("1|a|1|node1|node2|done|0|"));
        var again = await ConsoleAsync("MOVE RANGE 1 TO node2");
        again.Succeeded();
        Assert.That(again.Errors, Does.Contain("NOTICE:"), "a range that is there already");
    }

    [TestCase("SELECT * FROM a WHERE id = 7", "Route: node node")]
    [TestCase("SELECT count(*) FROM a", "all nodes (node1, node2, node3)")]
    [TestCase("UPDATE c SET id = id", "node1, node2, node3")]
    [TestCase("SELECT * FROM d", "node1")]
    [TestCase("SELECT * FROM a, b", "gathered on node1")]
    [TestCase("SELECT id, count(*) FROM a GROUP BY id", "each answers for its own rows")]
    [TestCase("SELECT * FROM a LIMIT 1 FOR UPDATE", "Refused: 0A000 SHP-")]
    [TestCase("SELECT * FROM a FOR UPDATE", "Route: all nodes")]
    public async Task Explain_route_says_where_a_statement_goes(string statement, string says) =>
        Assert.That((await ConsoleAsync($"EXPLAIN ROUTE {statement}")).Succeeded(), Does.Contain(says));

    [TestCase("SHOW NONSENSE", "SHP-601")]
    [TestCase("MOVE RANGE 999 TO node1", "SHP-603")]
    [TestCase("MOVE RANGE 2 TO nowhere", "SHP-6")]
    [TestCase("SHARD TABLE a BY HASH (id)", "SHP-")]
    [TestCase("SHARD TABLE d BY HASH (nosuch)", "SHP-")]
    [TestCase("SHARD TABLE nosuch BY HASH (id)", "SHP-")]
    [TestCase("SPLIT RANGE 2 AT ('abc')", "SHP-6")]
    [TestCase("CANCEL MIGRATION 77", "SHP-")]
    [TestCase("SHOW HOT KEYS", "SHP-602")]
    [TestCase("DROP TABLE a", "SHP-6")]
    public async Task A_mistake_is_an_error_with_a_code(string statement, string code)
    {
        var result = await ConsoleAsync(statement);
        Assert.That(result.ExitCode, Is.Not.Zero);
        Assert.That(result.Errors, Does.StartWith("ERROR:  ").And.Contain($"DETAIL:  {code}").And.Contain("HINT:  "));
    }

    private Task<ProgramResult> ConsoleAsync(params string[] statements) =>
        PostgresProgram.PsqlAsync(_proxy.ConsoleConnectionString, CancellationToken.None, [.. statements.SelectMany(s => new[] { "-c", s })]);
}
