using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects law 1 where several nodes could each have an answer of their own: DDL that would take a sharded table's rows or uniqueness out of
/// sight is refused and undone, a replicated table is the same on every node whatever its writes compute, and what a session locks on any
/// node ends with it.
/// </summary>
[TestFixture]
internal sealed class OneAnswerTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement()
        .Sharded("s", "k int8, u int4", "k")
        .Replicated("r", "id int4, at timestamptz, d timestamptz, n numeric");

    protected override string Ddl => """
        CREATE TABLE s (k bigint NOT NULL, u int);
        CREATE TABLE r (id int PRIMARY KEY, at timestamptz, d timestamptz DEFAULT clock_timestamp(), n numeric DEFAULT 0);
        """;

    [SetUp]
    public Task EmptyAsync() => DirectOnAllAsync("TRUNCATE s, r");

    [TestCase("CREATE UNIQUE INDEX ON s (u)", "SHP-221")]
    [TestCase("ALTER TABLE s ADD UNIQUE (u)", "SHP-221")]
    [TestCase("ALTER TABLE s ADD EXCLUDE USING btree (u WITH =)", "SHP-221")]
    [TestCase("CREATE UNIQUE INDEX ON s (u) INCLUDE (k)", "SHP-221")]
    [TestCase("CREATE UNIQUE INDEX CONCURRENTLY ON s (u)", "SHP-210")]
    [TestCase("ALTER TABLE s ALTER COLUMN k TYPE text", "SHP-223")]
    [TestCase("ALTER TABLE s ALTER COLUMN k DROP NOT NULL", "SHP-223")]
    [TestCase("ALTER TABLE s DROP COLUMN k", "SHP-223")]
    [TestCase("CREATE RULE x AS ON INSERT TO s DO ALSO INSERT INTO r (id) VALUES (1)", "SHP-210")]
    public async Task DdlThatBreaksTheKeyIsRefusedAndUndone(string sql, string code)
    {
        const string Shape = """
            SELECT string_agg(attname || atttypid || attnotnull, ',' ORDER BY attnum), (SELECT count(*) FROM pg_index WHERE indrelid = 's'::regclass),
                   (SELECT count(*) FROM pg_rewrite WHERE ev_class = 's'::regclass)
            FROM pg_attribute WHERE attrelid = 's'::regclass AND attnum > 0 AND NOT attisdropped
            """;
        var before = await OnEachNodeAsync(Shape);
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D')), Is.EqualTo(("0A000", code)), reply.ToString());
        Assert.That(await OnEachNodeAsync(Shape), Is.EqualTo(before));
    }

    [Test]
    public async Task DdlThatKeepsTheKeyRunsOnEveryNode()
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("ALTER TABLE s ADD CONSTRAINT kept UNIQUE (u, k)")).Errors, Is.Empty);
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM pg_index WHERE indrelid = 's'::regclass")).SelectMany(c => c), Is.All.EqualTo("1"));
        Assert.That((await client.QueryAsync("ALTER TABLE s DROP CONSTRAINT kept")).Errors, Is.Empty);
    }

    [TestCase("INSERT INTO r (id, at, d) VALUES (1, CURRENT_TIMESTAMP, LOCALTIMESTAMP(0))")]
    [TestCase("INSERT INTO r (id, at, d, n) VALUES (1, current_date, '2020-01-01', 5) ON CONFLICT (id) DO UPDATE SET at = current_timestamp(2)")]
    [TestCase("INSERT INTO r (id, at, d) SELECT i, current_timestamp, '2020-01-01' FROM generate_series(1, 5) i")]
    [TestCase("INSERT INTO r (id, at, d) SELECT i, current_timestamp, '2020-01-01' FROM unnest(ARRAY[1, 5, 7]) AS i WHERE array_length(ARRAY[i], 1) = 1")]
    [TestCase("INSERT INTO r (id, at, d) SELECT 1, current_timestamp, '2020-01-01 current_timestamp'::text::date WHERE false")]
    public async Task TheTimeOfATransactionIsOneOnAllNodes(string sql)
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, reply.ToString());
        var rows = await OnEachNodeAsync("SELECT * FROM r");
        Assert.That(rows, Is.All.EqualTo(rows[0]));
    }

    [Test]
    public async Task TheTimeIsTheTransactionsOwn()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        Assert.That((await client.ExecuteAsync("INSERT INTO r (id, at, d) VALUES ($1, CURRENT_TIMESTAMP, $2)", "1", "2020-01-01")).Errors, Is.Empty);
        Assert.That((await client.QueryAsync("INSERT INTO r (id, at, d) VALUES (2, now(), '2020-01-01')")).Errors, Is.Empty);
        Assert.That((await client.QueryAsync("SELECT bool_and(at = now()) FROM r")).Rows.Single().Single(), Is.EqualTo("t"));
        await client.QueryAsync("COMMIT");
    }

    [TestCase("INSERT INTO r (id, at, d) VALUES (1, 'now', '2020-01-01')")]
    [TestCase("INSERT INTO r (id, at, d) VALUES (1, ' Today '::timestamptz, '2020-01-01')")]
    [TestCase("INSERT INTO r (id, at) VALUES (1, '2020-01-01')")]
    [TestCase("INSERT INTO r VALUES (1)")]
    [TestCase("INSERT INTO r VALUES (1, '2020-01-01', DEFAULT)")]
    [TestCase("UPDATE r SET d = DEFAULT")]
    [TestCase("DELETE FROM r WHERE ctid = '(0,1)'")]
    [TestCase("UPDATE r SET n = 1 WHERE id = (SELECT id FROM r LIMIT 1)")]
    public async Task WhatNodesWouldComputeForThemselvesIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo("SHP-214"));
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM r")).SelectMany(c => c), Is.All.EqualTo("0"));
    }

    [Test]
    public async Task LocksOnSeveralNodesEndWithTheirSession()
    {
        using (var client = await Proxy.LoginAsync())
        {
            for (var k = 1; k <= 8; k++)
            {
                Assert.That((await client.QueryAsync($"INSERT INTO s VALUES ({k}, 1)")).Errors, Is.Empty);
                Assert.That((await client.QueryAsync($"SELECT pg_advisory_lock(4711) FROM s WHERE k = {k}")).Errors, Is.Empty);
            }

            Assert.That((await OnEachNodeAsync("SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711")).SelectMany(c => c), Is.All.EqualTo("t"));
        }

        // The server ends a session in its own time after its connection is cut: taking the lock waits for exactly that.
        foreach (var row in await OnEachNodeAsync("SET lock_timeout = '10s'; SELECT pg_advisory_lock(4711)::text; SELECT pg_advisory_unlock(4711)"))
        {
            Assert.That(row[^1], Is.EqualTo("t"));
        }
    }
}
