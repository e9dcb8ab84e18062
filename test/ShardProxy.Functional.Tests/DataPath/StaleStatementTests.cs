using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects clients from what others have prepared on a shared server connection before the schema changed: a statement that is parsed now
/// means what it means now, whoever prepared the same text earlier, and whichever way the change came.
/// </summary>
[TestFixture(1)]
[TestFixture(2)]
internal sealed class StaleStatementTests(int poolSize) : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("placed", "id int4", "id");

    protected override string Ddl => "CREATE TABLE placed (id int PRIMARY KEY)";

    protected override int PoolSize => poolSize;

    [SetUp]
    public Task ResetAsync() => DirectAsync(0, "DROP TABLE IF EXISTS thing; CREATE TABLE thing (a int); INSERT INTO thing VALUES (1); DROP TYPE IF EXISTS pair; CREATE TYPE pair AS (x int, y text)");

    [Test]
    public async Task AParseAfterDdlSeesTheNewTable([Values] bool throughTheProxy, [Values] bool inBlock)
    {
        await EverybodyPreparesAsync("SELECT * FROM thing");
        var ddl = inBlock ? "BEGIN; ALTER TABLE thing ADD b int DEFAULT 2; COMMIT" : "ALTER TABLE thing ADD b int DEFAULT 2";
        if (throughTheProxy)
        {
            using var owner = await Proxy.LoginAsync();
            Assert.That((await owner.QueryAsync(ddl)).SqlState, Is.Null);
        }
        else
        {
            await DirectAsync(0, ddl);
        }

        using var client = await Proxy.LoginAsync();
        for (var i = 0; i < 4; i++)
        {
            await client.SendAsync(Parse("SELECT * FROM thing", $"p{i}"), Bind($"p{i}"), DescribePortal(), Execute(), Sync());
            var reply = await client.ReadUntilReadyAsync();
            Assert.That(reply.Types, Is.EqualTo("12TDCZ"), reply.ToString());
            Assert.That(reply.Rows[0], Is.EqualTo(new[] { "1", "2" }));
        }
    }

    [Test]
    public async Task ATypeMadeAnewIsTheNewOne()
    {
        const string Sql = "SELECT ($1::pair).x";
        await EverybodyPreparesAsync(Sql);
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("DROP TYPE pair; CREATE TYPE pair AS (x int, y text)")).SqlState, Is.Null);
        await client.SendAsync(Parse(Sql, "p"), Bind("p", values: "(7,a)"), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.Rows.Select(r => r[0]), Is.EqualTo(new[] { "7" }), reply.ToString());
    }

    [Test]
    public async Task TheSameTextUnderAnotherSearchPathIsAnotherStatement()
    {
        await DirectAsync(0, "CREATE SCHEMA IF NOT EXISTS other; DROP TABLE IF EXISTS other.thing; CREATE TABLE other.thing (z text, y text)");
        await EverybodyPreparesAsync("SELECT * FROM thing");
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET search_path = other");
        await client.SendAsync(Parse("SELECT * FROM thing", "p"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        await client.SendAsync(Bind("p"), DescribePortal(), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.Types, Is.EqualTo("2TCZ"), reply.ToString());
    }

    /// <summary>Literals become values when a statement is parsed, by the settings of the client that parses it.</summary>
    [Test]
    public async Task TheSameTextUnderOtherSettingsIsAnotherStatement()
    {
        const string Sql = "SELECT extract(epoch FROM timestamptz '2024-01-01 00:00')::int8, date '1/2/2003' - date '2003-01-01'";
        (string, string)[][] settings =
        [
            [("TimeZone", "UTC"), ("DateStyle", "ISO, MDY")], [("TimeZone", "America/New_York"), ("DateStyle", "ISO, DMY")],
        ];
        string[][] answers = [["1704067200", "1"], ["1704085200", "31"]];
        var clients = await Task.WhenAll(settings.Select(s => Proxy.LoginAsync(s)));
        foreach (var client in clients)
        {
            await client.SendAsync(Parse(Sql, "p"), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        }

        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < clients.Length; i++)
            {
                await clients[i].SendAsync(Bind("p"), Execute(), Sync());
                var reply = await clients[i].ReadUntilReadyAsync();
                Assert.That(reply.Rows[0], Is.EqualTo(answers[i]), $"client {i}, round {round}: {reply}");
            }
        }

        foreach (var client in clients)
        {
            client.Dispose();
        }
    }

    [Test]
    public async Task AFailedParseLeavesNothingBehind()
    {
        const string Sql = "SELECT a FROM thing";
        await EverybodyPreparesAsync(Sql);
        await DirectAsync(0, "ALTER TABLE thing RENAME TO hidden");
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse(Sql, "p"), Bind("p"), Execute(), Parse(Sql, "q"), Bind("q"), Execute(), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("42P01"));
        await client.SendAsync(Parse("SELECT 1/0", "z"), Bind("z"), Execute(), Parse(Sql, "p"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("22012"));
        await DirectAsync(0, "ALTER TABLE hidden RENAME TO thing");
        foreach (var name in new[] { "p", "q" })
        {
            await client.SendAsync(Parse(Sql, name), Bind(name), Execute(), Sync());
            var reply = await client.ReadUntilReadyAsync();
            Assert.That(reply.Rows.Select(r => r[0]), Is.EqualTo(new[] { "1" }), reply.ToString());
        }
    }

    [Test]
    public async Task TheClientsOwnStatementFailsAsOnPostgresAndWorksWhenParsedAgain()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("SELECT * FROM thing", "p"), Sync());
        await client.ReadUntilReadyAsync();
        await client.QueryAsync("BEGIN");
        await client.SendAsync(Bind("p"), Execute(), Sync());
        await client.ReadUntilReadyAsync();
        await client.QueryAsync("ALTER TABLE thing ADD b int");
        await client.SendAsync(Bind("p"), Execute(), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("0A000"));
        await client.QueryAsync("ROLLBACK");
        await client.QueryAsync("ALTER TABLE thing ADD c int");
        await client.SendAsync(CloseStatement("p"), Parse("SELECT * FROM thing", "p"), Bind("p"), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.SqlState, Is.Null, reply.ToString());
        Assert.That(reply.Rows[0], Has.Count.EqualTo(2));
    }

    // On every server connection of the pool.
    private async Task EverybodyPreparesAsync(string sql)
    {
        var clients = await Task.WhenAll(Enumerable.Range(0, PoolSize).Select(_ => Proxy.LoginAsync()));
        foreach (var client in clients)
        {
            await client.QueryAsync("BEGIN");
            await client.SendAsync(Parse(sql, "p"), Bind("p", values: sql.Contains("$1", StringComparison.Ordinal) ? ["(1,a)"] : []), Execute(), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        }

        foreach (var client in clients)
        {
            await client.QueryAsync("COMMIT");
            client.Dispose();
        }
    }
}
