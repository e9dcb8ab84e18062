using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects against the rows of one node taken for all: a view or function over sharded tables that a transaction has made itself is not known to the catalog
/// before it commits, and a temporary view never is.
/// </summary>
[TestFixture]
internal sealed class UnseenCodeTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("customer", "id int4, name text", "id");

    protected override string Ddl => "CREATE TABLE customer (id int PRIMARY KEY, name text);";

    protected override string HomeDdl => "CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1);";

    [TestCase("CREATE VIEW seen AS SELECT * FROM customer", "SELECT count(*) FROM seen")]
    [TestCase("CREATE OR REPLACE VIEW seen AS SELECT p.id FROM plain p WHERE EXISTS (SELECT FROM customer c WHERE c.id = p.id)", "TABLE seen")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer", "SELECT p.id FROM plain p JOIN seen USING (id)")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer", "WITH w AS (SELECT * FROM seen) SELECT * FROM w")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer; CREATE VIEW again AS SELECT * FROM seen", "SELECT * FROM again")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer", "CREATE TABLE made AS SELECT * FROM seen")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer", "COPY (SELECT * FROM seen) TO STDOUT")]
    [TestCase("CREATE VIEW seen AS SELECT * FROM customer; ALTER VIEW seen RENAME TO other", "SELECT * FROM other")]
    [TestCase("CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customer'", "SELECT counted()")]
    [TestCase("CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customer'", "SELECT * FROM plain WHERE id < counted()")]
    public async Task WhatATransactionMakesItMayNotReadItself(string make, string read)
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        foreach (var sql in make.Split("; "))
        {
            await Must(client, sql);
        }

        await RefusedAsync(client, read);
        await Must(client, "ROLLBACK");
    }

    [Test]
    public async Task NorInOneStringOrPipeline()
    {
        using var client = await Proxy.LoginAsync();
        await RefusedAsync(client, "CREATE VIEW seen AS SELECT * FROM customer; SELECT count(*) FROM seen");
        await client.SendAsync(
            Frontend.Parse("CREATE VIEW seen AS SELECT * FROM customer"), Frontend.Bind(), Frontend.Execute(), Frontend.Parse("SELECT count(*) FROM seen"), Frontend.Bind(), Frontend.Execute(), Frontend.Sync());
        Assert.That((await client.ReadUntilReadyAsync()).Errors.Single().Field('D'), Is.EqualTo("SHP-207"));
    }

    [TestCase("CREATE TEMP VIEW seen AS SELECT * FROM customer", "SHP-207")]
    [TestCase("CREATE VIEW pg_temp.seen AS SELECT * FROM customer", "SHP-207")]
    [TestCase("CREATE MATERIALIZED VIEW seen AS SELECT * FROM customer", "SHP-229")]
    [TestCase("CREATE MATERIALIZED VIEW seen AS SELECT * FROM customer WITH NO DATA", "SHP-229")]
    public async Task WhatNobodyCouldTellIsNotMade(string make, string code)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(make)).Errors.Single().Field('D'), Is.EqualTo(code));
    }

    [Test]
    public async Task OthersAreReadAsBefore()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        await Must(client, "CREATE VIEW of_plain AS SELECT id FROM plain");
        await Must(client, "CREATE TEMP VIEW of_plain_too AS SELECT id FROM plain");
        await Must(client, "CREATE VIEW seen AS SELECT * FROM customer");
        await Must(client, "CREATE TRIGGER kept BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()");
        await Must(client, "CREATE INDEX by_name ON customer (name)");
        await Must(client, "COMMENT ON TABLE customer IS 'known'");
        await Must(client, "SELECT * FROM customer");
        await Must(client, "UPDATE customer SET name = 'n' WHERE id = 1");
        Assert.That((await client.QueryAsync("SELECT v.id FROM of_plain v, of_plain_too")).Rows.Single(), Is.EqualTo(new[] { "1" }));
        await Must(client, "ROLLBACK");
        await Must(client, "CREATE TABLE seen (id int)");
        Assert.That((await client.QueryAsync("SELECT * FROM seen")).Errors, Is.Empty);
        await Must(client, "DROP TABLE seen");
    }

    private static async Task RefusedAsync(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors is [var error, ..] ? error.Field('D') : null), Is.EqualTo(("0A000", "SHP-207")), reply.ToString());
    }

    private static async Task Must(ScriptedClient client, string sql) => Assert.That((await client.QueryAsync(sql)).Errors, Is.Empty, sql);
}
