using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects statements on sharded and replicated tables: each row lies on the node that owns its key by PostgreSQL's own hash, whatever way
/// it came in; what cannot be proven right over several nodes is refused; commits over several nodes are all or nothing.
/// </summary>
[TestFixture(1)]
[TestFixture(5)]
internal sealed class ShardedTests(int poolSize) : DataPathFixture
{
    // Ranges 1, 3 are on node 1, ranges 2, 4 on node 2.
    private const string OnNode1 = "(h < -4611686018427387904 OR (h >= 0 AND h < 4611686018427387903))";

    protected override Placement Tables { get; } = new Placement()
        .Sharded("a", "id int4, v text, n numeric", "id")
        .Sharded("b", "k int8, a_id int4, v text", "a_id")
        .Sharded("names", "name text, v int4", "name")
        .Sharded("short", "name varchar 5, v int4", "name")
        .Sharded("u", "id uuid, v int4", "id")
        .Sharded("pair", "v int4, x text, y int8", "x", "y")
        .Replicated("ref", "id int4, v text");

    protected override string Ddl => """
        CREATE TABLE a (id int PRIMARY KEY, v text, n numeric);
        CREATE TABLE b (k bigint, a_id int NOT NULL, v text, PRIMARY KEY (k, a_id));
        CREATE TABLE names (name text PRIMARY KEY, v int);
        CREATE TABLE short (name varchar(5) PRIMARY KEY, v int);
        CREATE TABLE u (id uuid PRIMARY KEY, v int);
        CREATE TABLE pair (v int, x text NOT NULL, y bigint NOT NULL, PRIMARY KEY (x, y));
        CREATE TABLE ref (id int PRIMARY KEY, v text);
        """;

    protected override string HomeDdl => "CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain VALUES (1, 'one')";

    protected override int PoolSize => poolSize;

    [SetUp]
    public Task EmptyAsync() => DirectOnAllAsync("DROP TABLE IF EXISTS extra; TRUNCATE a, b, names, short, u, pair, ref; DELETE FROM shardproxy.commit_record");

    [TearDown]
    public async Task NothingIsLeftPreparedAsync() =>
        Assert.That((await OnEachNodeAsync($"SELECT gid FROM pg_prepared_xacts WHERE database = '{Database}'")).SelectMany(r => r), Is.Empty);

    [Test]
    public async Task EveryRowLiesWhereItsHashSaysSo()
    {
        using var client = await Proxy.LoginAsync();
        for (var i = -20; i <= 20; i++)
        {
            Expect(await client.QueryAsync(string.Create(CultureInfo.InvariantCulture, $"INSERT INTO a VALUES ({i}, 'q', {i}.5)")), "INSERT 0 1");
            Expect(await client.ExecuteAsync("INSERT INTO b (v, a_id, k) VALUES ($3, $2, $1)", "1", i.ToString(CultureInfo.InvariantCulture), "x"), "INSERT 0 1");
            Expect(await client.ExecuteAsync("INSERT INTO names VALUES ($1, 1)", "näme " + i), "INSERT 0 1");
            Expect(await client.QueryAsync($"INSERT INTO short VALUES ('n{i}  ', 1)"), "INSERT 0 1");
            Expect(await client.QueryAsync($"INSERT INTO u VALUES ('{new Guid(i + 100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}', 1)"), "INSERT 0 1");
            Expect(await client.ExecuteAsync("INSERT INTO pair (x, y, v) VALUES ($1, $2, 1)", "x" + i, "123456789012"), "INSERT 0 1");
        }

        foreach (var (table, hash) in new[]
        {
            ("a", "hashint8extended(id, 0)"), ("b", "hashint8extended(a_id, 0)"), ("names", "hashtextextended(name, 0)"), ("short", "hashtextextended(name, 0)"),
            ("u", "uuid_hash_extended(id, 0)"), ("pair", "hashtextextended(x, hashint8extended(y, 0))"),
        })
        {
            var counts = await OnEachNodeAsync($"SELECT count(*) FILTER (WHERE {OnNode1}), count(*) FILTER (WHERE NOT {OnNode1}) FROM (SELECT {hash} AS h FROM {table}) q");
            var first = counts[0][0].Split('|');
            var second = counts[1][0].Split('|');
            Assert.That((first[1], second[0]), Is.EqualTo(("0", "0")), $"{table} has rows on the wrong node");
            Assert.That((int.Parse(first[0], CultureInfo.InvariantCulture), int.Parse(second[1], CultureInfo.InvariantCulture)), Is.EqualTo((41 - int.Parse(second[1], CultureInfo.InvariantCulture), 41 - int.Parse(first[0], CultureInfo.InvariantCulture))));
            Assert.That(first[0], Is.Not.EqualTo("0").And.Not.EqualTo("41"), $"{table} is not spread");
        }

        // What was written is found again, in both protocols and by every kind of condition.
        Assert.That((await client.QueryAsync("SELECT v, n FROM a WHERE id = -7")).Rows.Single(), Is.EqualTo(new[] { "q", "-7.5" }));
        Assert.That((await client.ExecuteAsync("SELECT v FROM names WHERE name = $1", "näme 3")).Rows.Single().Single(), Is.EqualTo("1"));
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a JOIN b ON a.id = b.a_id WHERE a.id = 4")).Rows.Single().Single(), Is.EqualTo("1"));
        Expect(await client.QueryAsync("UPDATE a SET v = 'w' WHERE id = 5 AND v = 'q'"), "UPDATE 1");
        Expect(await client.ExecuteAsync("DELETE FROM pair WHERE x = $1 AND y = $2", "x5", "123456789012"), "DELETE 1");
        Expect(await client.QueryAsync("DELETE FROM a WHERE id = NULL"), "DELETE 0");
        Assert.That((await client.QueryAsync("SELECT * FROM a WHERE id = 2147483648")).Rows, Is.Empty);
    }

    [TestCase("SELECT * FROM a LIMIT 1 FOR UPDATE", "SHP-201")]
    [TestCase("SELECT * FROM a WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) LIMIT 1 FOR SHARE", "SHP-202")]
    [TestCase("UPDATE ref SET v = 'x' FROM plain", "SHP-203")]
    [TestCase("DELETE FROM a USING names WHERE a.id = 1 AND names.ctid = a.ctid", "SHP-204")]
    [TestCase("UPDATE a SET id = id + 1 WHERE id = 1", "SHP-205")]
    [TestCase("INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", "SHP-205")]
    [TestCase("INSERT INTO a VALUES (1.5 * 2)", "SHP-206")]
    [TestCase("UPDATE ref SET v = random()::text", "SHP-214")]
    [TestCase("CREATE TEMP TABLE a (x int)", "SHP-216")]
    [TestCase("SELECT count(*) FROM a; VACUUM a", "SHP-213")]
    [TestCase("COPY a FROM STDIN (FORMAT csv, FORCE_NOT_NULL (v))", "SHP-222")]
    [TestCase("COPY a FROM STDIN (ENCODING 'LATIN1')", "SHP-222")]
    [TestCase("COPY a (v) FROM STDIN", "SHP-222")]
    [TestCase("DO $$ BEGIN DELETE FROM a; END $$", "SHP-208")]
    public async Task WhatIsNotProvenRightIsRefused(string sql, string code)
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D')), Is.EqualTo(("0A000", code)), reply.ToString());
        Assert.That(reply.Errors.Single().Field('H'), Is.Not.Empty);
        Assert.That(reply.Status, Is.EqualTo('I'));
        var counts = await OnEachNodeAsync("SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM ref)");
        Assert.That(counts.SelectMany(c => c), Is.All.EqualTo("0"));

        // In a block the refusal fails the block, as an error of PostgreSQL does.
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        Expect(await client.QueryAsync("INSERT INTO a VALUES (77)"), "INSERT 0 1");
        Assert.That((await client.QueryAsync(sql)).Status, Is.EqualTo('E'));
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.EqualTo("25P02"));
        Expect(await client.QueryAsync("COMMIT; SELECT 1"), "ROLLBACK", "SELECT 1");
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"), "a failed block was committed");
    }

    [Test]
    public async Task TransactionsOverNodesAreAllOrNothing()
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        for (var i = 1; i <= 8; i++)
        {
            Expect(await client.QueryAsync($"INSERT INTO a VALUES ({i}, 'x')"), "INSERT 0 1");
        }

        Expect(await client.QueryAsync("INSERT INTO plain VALUES (2, 'two')"), "INSERT 0 1");
        Expect(await client.QueryAsync("ROLLBACK"), "ROLLBACK");
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"));

        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        for (var i = 1; i <= 8; i++)
        {
            Expect(await client.ExecuteAsync("INSERT INTO a VALUES ($1, 'x')", i.ToString(CultureInfo.InvariantCulture)), "INSERT 0 1");
        }

        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"), "rows can be seen before the commit");
        Expect(await client.QueryAsync("COMMIT"), "COMMIT");
        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM a")), Is.EqualTo(8));
        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM shardproxy.commit_record")), Is.EqualTo(1), "the decision is recorded once, on one node");
    }

    [Test]
    public async Task SavepointsHoldOverNodesThatJoinLater()
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        Expect(await client.QueryAsync("INSERT INTO a VALUES (1), (1 )".Replace(", (1 )", "", StringComparison.Ordinal)), "INSERT 0 1");
        Expect(await client.QueryAsync("SAVEPOINT s"), "SAVEPOINT");
        for (var i = 2; i <= 8; i++)
        {
            Expect(await client.QueryAsync($"INSERT INTO a VALUES ({i})"), "INSERT 0 1");
        }

        Expect(await client.QueryAsync("ROLLBACK TO s"), "ROLLBACK");
        Expect(await client.QueryAsync("INSERT INTO a VALUES (9)"), "INSERT 0 1");
        Expect(await client.QueryAsync("RELEASE s"), "RELEASE");
        Expect(await client.QueryAsync("COMMIT"), "COMMIT");
        Assert.That((await OnEachNodeAsync("SELECT id FROM a ORDER BY id")).SelectMany(r => r).Order(), Is.EqualTo(new[] { "1", "9" }));
    }

    [Test]
    public async Task AFailureOnOneNodeUndoesTheOthers()
    {
        await DirectOnAllAsync("ALTER TABLE a ADD CONSTRAINT late UNIQUE (v) DEFERRABLE INITIALLY DEFERRED");
        try
        {
            using var client = await Proxy.LoginAsync();
            Expect(await client.QueryAsync("BEGIN"), "BEGIN");
            for (var i = 1; i <= 8; i++)
            {
                Expect(await client.QueryAsync($"INSERT INTO a VALUES ({i}, 'same')"), "INSERT 0 1");
            }

            var reply = await client.QueryAsync("COMMIT");
            Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("23505", 'I')), reply.ToString());
            Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"));
        }
        finally
        {
            await DirectOnAllAsync("ALTER TABLE a DROP CONSTRAINT late");
        }
    }

    [Test]
    public async Task WritesToReplicatedTablesReachEveryNode()
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("INSERT INTO ref VALUES (1, 'a'), (2, 'b')"), "INSERT 0 2");
        Expect(await client.ExecuteAsync("INSERT INTO ref VALUES ($1, $2)", "3", "c"), "INSERT 0 1");
        var reply = await client.QueryAsync("UPDATE ref SET v = v || '!' WHERE id > 1 RETURNING id, v");
        Expect(reply, "UPDATE 2");
        Assert.That(reply.Types, Is.EqualTo("TDDCZ"));
        reply = await client.ExecuteAsync("DELETE FROM ref WHERE id = $1 RETURNING v", "2");
        Assert.That((reply.Types, reply.Rows.Single().Single()), Is.EqualTo(("12TDCZ", "b!")));
        var rows = await OnEachNodeAsync("SELECT id, v FROM ref ORDER BY id");
        Assert.That(rows, Is.All.EqualTo(new[] { "1|a", "3|c!" }));

        // It joins with sharded tables on their node.
        Expect(await client.QueryAsync("INSERT INTO a VALUES (5, 'x')"), "INSERT 0 1");
        Assert.That((await client.QueryAsync("SELECT ref.v FROM a JOIN ref ON ref.id = 3 WHERE a.id = 5")).Rows.Single().Single(), Is.EqualTo("c!"));

        // An error on it leaves nothing behind anywhere.
        Assert.That((await client.QueryAsync("INSERT INTO ref VALUES (9, 'n'), (1, 'taken')")).SqlState, Is.EqualTo("23505"));
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM ref")).SelectMany(c => c), Is.All.EqualTo("2"));

        // A node that differs is noticed, and the write undone.
        await DirectAsync(1, "DELETE FROM ref WHERE id = 1");
        Assert.That((await client.QueryAsync("UPDATE ref SET v = 'z'")).Errors.Single().Field('D'), Is.EqualTo("SHP-402"));
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM ref WHERE v = 'z'")).SelectMany(c => c), Is.All.EqualTo("0"));
    }

    [Test]
    public async Task RowsOfAWriteOnAllNodesAreNeverCutOff()
    {
        using var client = await Proxy.LoginAsync();
        await DirectOnAllAsync("INSERT INTO ref SELECT i, 'x' FROM generate_series(1, 10001) i");
        var reply = await client.QueryAsync("UPDATE ref SET v = 'y' RETURNING id");
        Assert.That(reply.Errors.Single().Field('D'), Is.EqualTo("SHP-409"), reply.ToString());
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM ref WHERE v = 'y'")).SelectMany(c => c), Is.All.EqualTo("0"));
        Expect(await client.QueryAsync("DELETE FROM ref"), "DELETE 10001");
    }

    [Test]
    public async Task AggregatesCombineAllNodes()
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("SELECT count(*), sum(id), min(n), max(n) FROM a")).Rows.Single(), Is.EqualTo(new[] { "0", null, null, null }));
        for (var i = 1; i <= 12; i++)
        {
            Expect(await client.QueryAsync(string.Create(CultureInfo.InvariantCulture, $"INSERT INTO a VALUES ({i}, 'v{i % 3}', {i}.25)")), "INSERT 0 1");
        }

        var reply = await client.QueryAsync("SELECT count(*) AS c, sum(id), sum(n), min(n), max(id) FROM a WHERE v <> 'v0'");
        Assert.That(reply.Rows.Single(), Is.EqualTo(new[] { "8", "48", "50.00", "1.25", "11" }));
        Assert.That(reply.Messages[0].Describe(), Is.EqualTo("T[c:20,sum:20,sum:1700,min:1700,max:23]"));
        Assert.That((await client.ExecuteAsync("SELECT count(*) FROM a WHERE id > $1", "4")).ToString(), Is.EqualTo("1\n2\nT[count:20]\nD[8]\nC[SELECT 1]\nZ[I]"));
        Assert.That((await client.QueryAsync("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM ref), (SELECT sum(k) FROM b)")).Rows.Single(), Is.EqualTo(new[] { "12", "0", null }));

        await client.SendAsync(Parse("SELECT count(*), sum(n) FROM a"), Bind("", "", [], [], [1]), DescribePortal(), Execute(), Sync());
        var binary = await client.ReadUntilReadyAsync();
        var values = binary.Messages.Single(m => m.Type == 'D').Values();
        using var direct = await DirectLoginAsync(0);
        await direct.SendAsync(Parse("SELECT 12::bigint, 81.00::numeric"), Bind("", "", [], [], [1]), DescribePortal(), Execute(), Sync());
        Assert.That(values, Is.EqualTo((await direct.ReadUntilReadyAsync()).Messages.Single(m => m.Type == 'D').Values()));

        // Inside a block it sees the block's own rows, and its errors fail the block.
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        Expect(await client.QueryAsync("DELETE FROM a WHERE id = 3"), "DELETE 1");
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a")).Rows.Single().Single(), Is.EqualTo("11"));
        Assert.That((await client.QueryAsync("SELECT sum(id / 0) FROM a")).SqlState, Is.EqualTo("22012"));
        Expect(await client.QueryAsync("COMMIT"), "ROLLBACK");
    }

    [Test]
    public async Task LocksAndAnalyzeMeanEveryNodeOrAreRefused()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var table in new[] { "a", "ref" })
        {
            Assert.That((await client.QueryAsync($"LOCK TABLE {table}")).SqlState, Is.EqualTo("25P01"), "as one PostgreSQL");
            Assert.That((await client.ExecuteAsync($"LOCK TABLE {table}")).SqlState, Is.EqualTo("25P01"));
            Expect(await client.QueryAsync("BEGIN"), "BEGIN");
            Expect(await client.QueryAsync($"LOCK TABLE {table} IN SHARE MODE"), "LOCK TABLE");
            var locks = await OnEachNodeAsync($"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'ShareLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
            Assert.That(locks.SelectMany(l => l), Is.All.EqualTo("1"), table);
            Expect(await client.QueryAsync("COMMIT"), "COMMIT");

            Expect(await client.QueryAsync($"INSERT INTO {table} VALUES (1, 'x')"), "INSERT 0 1");
            Expect(await client.QueryAsync("BEGIN"), "BEGIN");
            Expect(await client.QueryAsync($"ANALYZE {table}"), "ANALYZE");
            Expect(await client.QueryAsync("COMMIT"), "COMMIT");
            var analyzed = await OnEachNodeAsync($"SELECT reltuples >= 0 FROM pg_class WHERE oid = '{table}'::regclass");
            Assert.That(analyzed.SelectMany(a => a), Is.All.EqualTo("t"), table);
            Expect(await client.QueryAsync("BEGIN"), "BEGIN");
            Assert.That((await client.QueryAsync($"VACUUM {table}")).SqlState, Is.EqualTo("25001"));
            Expect(await client.QueryAsync("COMMIT"), "ROLLBACK");
        }
    }

    [Test]
    public async Task CopyPutsEveryRowOnItsNode()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(
            [Query("COPY names (v, name) FROM STDIN"), CopyData("1\tplain\n2\twith\\ttab\n3\tback\\\\slash"), CopyData("\n4\tnew\\nline\n5\thex\\x41\\101\n6\t\n7\teuro€\r\n".Replace("\r", "", StringComparison.Ordinal)), CopyDone()]);
        Expect(await client.ReadUntilReadyAsync(), "COPY 7");
        await client.SendAsync(
            [Query("COPY names FROM STDIN (FORMAT csv, HEADER)"), CopyData("name,v\n\"a,b\",1\n\"new\nline csv\",2\n\"quo\"\"te\","), CopyData("3\n\"\",4\n".Replace("\"\"", "\"empty csv\"", StringComparison.Ordinal)), CopyDone()]);
        Expect(await client.ReadUntilReadyAsync(), "COPY 4");
        var misplaced = await OnEachNodeAsync($"SELECT count(*) FILTER (WHERE {OnNode1}), count(*) FILTER (WHERE NOT {OnNode1}) FROM (SELECT hashtextextended(name, 0) AS h FROM names) q");
        Assert.That((misplaced[0][0].Split('|')[1], misplaced[1][0].Split('|')[0]), Is.EqualTo(("0", "0")));
        foreach (var name in new[] { "plain", "with\ttab", "back\\slash", "new\nline", "hexAA", "", "euro€", "a,b", "new\nline csv", "quo\"te", "empty csv" })
        {
            Assert.That((await client.ExecuteAsync("SELECT count(*) FROM names WHERE name = $1", name)).Rows.Single().Single(), Is.EqualTo("1"), name);
        }

        // A row that a node refuses undoes all of them; the session goes on.
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("1\tx\t1\n2\tx\t1\n3\tx\t1\n4\tx\t1\n5\tx\tnot a number\n6\tx\t1\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("22P02"));
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("1\tx\t1\n2\tx\t1\n"), CopyFail("changed my mind"));
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57014"));
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("one\tx\t1\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("22P02"));
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("\\N\tx\t1\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("23502"));
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a")).Rows.Single().Single(), Is.EqualTo("0"));

        await client.SendAsync(Query("COPY ref FROM STDIN"), CopyData("1\ta\n2\tb\n"), CopyDone());
        Expect(await client.ReadUntilReadyAsync(), "COPY 2");
        Assert.That(await OnEachNodeAsync("SELECT id, v FROM ref ORDER BY id"), Is.All.EqualTo(new[] { "1|a", "2|b" }));

        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        await client.SendAsync(Query("COPY a (id) FROM STDIN"), CopyData(string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n"))), CopyDone());
        Expect(await client.ReadUntilReadyAsync(), "COPY 5000");
        Expect(await client.QueryAsync("ROLLBACK"), "ROLLBACK");
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a")).Rows.Single().Single(), Is.EqualTo("0"));
    }

    [Test]
    public async Task CopyNeverGuessesWhereARowEnds()
    {
        // With a bare carriage return as line end PostgreSQL would see rows where the proxy sees one, and all of them would follow the first key.
        using var client = await Proxy.LoginAsync();
        foreach (var copy in new[] { "COPY a (id) FROM STDIN", "COPY a (id) FROM STDIN CSV" })
        {
            await client.SendAsync(Query(copy), CopyData("1\r2\r3\r4\r5\r6\r7\r8\r"), CopyDone());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("0A000"));
            await client.SendAsync(Query(copy), CopyData("11\r\n12\r\n13\r\n14\r\n"), CopyDone());
            Expect(await client.ReadUntilReadyAsync(), "COPY 4");
            Assert.That((await client.QueryAsync("SELECT id FROM a WHERE id = 13")).Rows, Has.Count.EqualTo(1));
            Expect(await client.QueryAsync("TRUNCATE a"), "TRUNCATE TABLE");
        }

        // In another encoding the bytes of a key are not the server's.
        Expect(await client.QueryAsync("SET client_encoding = 'LATIN1'"), "SET");
        await client.SendAsync(Query("COPY names FROM STDIN"), CopyData("x\t1\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("0A000"));
        Assert.That((await client.QueryAsync("INSERT INTO names VALUES ('x', 1)")).Errors.Single().Field('D'), Is.EqualTo("SHP-220"));
        Expect(await client.QueryAsync("RESET client_encoding"), "RESET");
        Expect(await client.QueryAsync("INSERT INTO names VALUES ('x', 1)"), "INSERT 0 1");
    }

    [Test]
    public async Task SchemaChangesReachEveryNodeOrNone()
    {
        using var client = await Proxy.LoginAsync();
        var changes = Proxy.SchemaChanges;
        Expect(await client.QueryAsync("ALTER TABLE b ADD COLUMN extra int"), "ALTER TABLE");
        Assert.That(Proxy.SchemaChanges, Is.EqualTo(changes + 1));
        Expect(await client.QueryAsync("CREATE INDEX b_extra ON b (extra)"), "CREATE INDEX");
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM pg_class WHERE relname = 'b_extra'"), Is.All.EqualTo(new[] { "1" }));
        Expect(await client.QueryAsync("DROP INDEX b_extra"), "DROP INDEX");
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        Expect(await client.QueryAsync("ALTER TABLE b DROP COLUMN extra"), "ALTER TABLE");
        Expect(await client.QueryAsync("ROLLBACK"), "ROLLBACK");
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM pg_attribute WHERE attrelid = 'b'::regclass AND attname = 'extra'"), Is.All.EqualTo(new[] { "1" }));
        Expect(await client.QueryAsync("ALTER TABLE b DROP COLUMN extra"), "ALTER TABLE");
        Assert.That((await client.QueryAsync("ALTER TABLE b DROP COLUMN nothing")).SqlState, Is.EqualTo("42703"));

        Expect(await client.QueryAsync("INSERT INTO a VALUES (1), (1)".Replace(", (1)", "", StringComparison.Ordinal)), "INSERT 0 1");
        Expect(await client.QueryAsync("TRUNCATE a, plain, ref"), "TRUNCATE TABLE");
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"));
        Assert.That(await DirectAsync(0, "SELECT count(*) FROM plain"), Is.EqualTo(new[] { "0" }));
        Expect(await client.QueryAsync("INSERT INTO plain VALUES (1, 'one')"), "INSERT 0 1");
        Expect(await client.QueryAsync("VACUUM ANALYZE a"), "VACUUM");
        Expect(await client.QueryAsync("VACUUM"), "VACUUM");
        Assert.That((await client.QueryAsync("BEGIN; VACUUM a")).SqlState, Is.Not.Null);
        Expect(await client.QueryAsync("ROLLBACK"), "ROLLBACK");

        Expect(await client.QueryAsync("CREATE TABLE extra (x int)"), "CREATE TABLE");
        var dropped = await client.QueryAsync("DROP TABLE IF EXISTS u, extra, nothing_such");
        Expect(dropped, "DROP TABLE");
        Assert.That(dropped.Messages.Single(m => m.Type == 'N').Field('M'), Is.EqualTo("table \"nothing_such\" does not exist, skipping"));
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM pg_class WHERE relname IN ('u', 'extra')"), Is.All.EqualTo(new[] { "0" }));
        await DirectOnAllAsync("CREATE TABLE u (id uuid PRIMARY KEY, v int)");
    }

    [Test]
    public async Task APipelineOutsideABlockIsOneTransactionOverItsNodes()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("INSERT INTO a VALUES ($1)", "i"), Sync());
        await client.ReadUntilReadyAsync();
        byte[][] Inserts(params int[] keys) => [.. keys.SelectMany(i => new[] { Bind("i", values: i.ToString(CultureInfo.InvariantCulture)), Execute() })];
        await client.SendAsync([.. Inserts(1, 2, 3, 4, 5, 6, 7, 8, 1), Sync()]);
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status, reply.Tags.Count), Is.EqualTo(("23505", 'I', 8)), reply.ToString());
        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM a")), Is.EqualTo(0), "a part of a failed pipeline was committed");

        await client.SendAsync([.. Inserts(1, 2, 3, 4, 5, 6, 7, 8), Parse("SELECT count(*) FROM a"), Bind(), Execute(), Parse("INSERT INTO ref VALUES (1, 'x')"), Bind(), Execute(), Sync()]);
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status, reply.Rows.Single().Single()), Is.EqualTo(((string?)null, 'I', "8")), reply.ToString());
        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM a")), Is.EqualTo(8));
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM ref"), Is.All.EqualTo(new[] { "1" }));

        // BEGIN would make what was executed a part of its block, COMMIT would end it before the Sync.
        foreach (var command in new[] { "BEGIN", "COMMIT" })
        {
            await client.SendAsync([.. Inserts(11, 12, 13, 14, 15, 16), Parse(command), Bind(), Execute(), Sync()]);
            reply = await client.ReadUntilReadyAsync();
            Assert.That((reply.Errors.Single().Field('D'), reply.Status), Is.EqualTo(("SHP-215", 'I')), reply.ToString());
        }

        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM a")), Is.EqualTo(8));
        await client.QueryAsync("DELETE FROM a");

        // In a block it may go anywhere.
        await client.SendAsync(
            [Parse("BEGIN"), Bind(), Execute(), .. Enumerable.Range(1, 8).SelectMany(i => new[] { Bind("i", values: i.ToString(CultureInfo.InvariantCulture)), Execute() }), Parse("SELECT count(*) FROM a"), Bind(), Execute(), Parse("COMMIT"), Bind(), Execute(), Sync()]);
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status, reply.Rows.Single().Single()), Is.EqualTo(((string?)null, 'I', "8")), reply.ToString());
        Assert.That(Sum(await OnEachNodeAsync("SELECT count(*) FROM a")), Is.EqualTo(8));
    }

    /// <summary>A portal that has run to its end does not run again, also where the proxy carries it out.</summary>
    [Test]
    public async Task APortalOverSeveralNodesRunsOnce()
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("INSERT INTO ref VALUES (1, 'a')"), "INSERT 0 1");
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        await client.SendAsync(Parse("UPDATE ref SET v = v || '!'"), Bind(), Execute(), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.Types, reply.SqlState, reply.Status), Is.EqualTo(("12CEZ", "55000", 'E')), reply.ToString());
        await client.QueryAsync("ROLLBACK");
        await client.SendAsync(Parse("SELECT count(*) FROM a"), Bind(), Execute(), Execute(), Sync());
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.Types, string.Join(',', reply.Tags)), Is.EqualTo(("12DCCZ", "SELECT 1,SELECT 0")), reply.ToString());
    }

    /// <summary>What a pipeline executes from a write over several nodes on to its Sync is one transaction: all of it counts or nothing.</summary>
    [Test]
    public async Task APipelineFromAWriteOverSeveralNodesOnIsOneTransaction()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("INSERT INTO ref VALUES (2, 'b')"), Bind(), Execute(), Parse("SELECT 1/0"), Bind(), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("22012", 'I')), reply.ToString());
        Assert.That((await client.QueryAsync("SELECT count(*) FROM ref WHERE id = 2")).Rows[0][0], Is.EqualTo("0"));
        await client.SendAsync(
            Parse("INSERT INTO ref VALUES (3, 'c')"), Bind(), Execute(), Parse("INSERT INTO a VALUES (901, 'x')"), Bind(), Execute(), Parse("INSERT INTO a VALUES (902, 'x')"), Bind(), Execute(),
            Parse("INSERT INTO a VALUES (903, 'x')"), Bind(), Execute(), Parse("SELECT count(*) FROM a WHERE id > 900"), Bind(), Execute(), Sync());
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status, reply.Rows.Single()[0]), Is.EqualTo(((string?)null, 'I', "3")), reply.ToString());
        await client.SendAsync(
            Parse("DELETE FROM ref WHERE id = 3"), Bind(), Execute(), Parse("DELETE FROM a WHERE id = 901"), Bind(), Execute(), Parse("INSERT INTO a VALUES (902, 'again')"), Bind(), Execute(), Sync());
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("23505", 'I')), reply.ToString());
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a WHERE id > 900")).Rows[0][0], Is.EqualTo("3"));
        await client.SendAsync(Parse("DELETE FROM ref WHERE id = 3"), Bind(), Execute(), Parse("COMMIT"), Bind(), Execute(), Sync());
        reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("0A000", 'I')), reply.ToString());
        Expect(await client.QueryAsync("DELETE FROM ref WHERE id = 3"), "DELETE 1");
        Expect(await client.QueryAsync("DELETE FROM a WHERE id > 900"), "DELETE 3");

        // The Sync may come as late as it likes.
        await client.SendAsync(Parse("INSERT INTO ref VALUES (2, 'b')"), Bind(), Execute());
        await client.SendAsync(Sync());
        Expect(await client.ReadUntilReadyAsync(), "INSERT 0 1");
        Assert.That((await client.QueryAsync("SELECT count(*) FROM ref WHERE id = 2")).Rows[0][0], Is.EqualTo("1"));
    }

    /// <summary>What follows the end of a block in its string is one implicit transaction: it is carried out as one or not at all.</summary>
    [TestCase("COMMIT; INSERT INTO a VALUES (9, 'x'); SET work_mem = '7MB'; SELECT 1/0")]
    [TestCase("ROLLBACK; INSERT INTO a VALUES (9, 'x'); BEGIN; SELECT 1/0")]
    [TestCase("COMMIT; INSERT INTO a VALUES (9, 'x'); ROLLBACK")]
    public async Task AStringThatGoesOnBehindItsBlockIsCarriedOutAsAWhole(string text)
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        Assert.That((await client.QueryAsync(text)).Errors.Single().Field('D'), Is.EqualTo("SHP-213"));
        await client.QueryAsync("ROLLBACK");
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a WHERE id = 9")).Rows[0][0], Is.EqualTo("0"));
    }

    [TestCase("COMMIT; BEGIN", 'T')]
    [TestCase("COMMIT; SET work_mem = '7MB'", 'I')]
    [TestCase("COMMIT; SELECT v FROM a WHERE id = 9; BEGIN", 'T')]
    [TestCase("COMMIT; INSERT INTO a VALUES (9, 'x'); COMMIT; BEGIN", 'T')]
    [TestCase("COMMIT; INSERT INTO a VALUES (9, 'x'); UPDATE a SET v = 'y' WHERE id = 9", 'I')]
    public async Task WhatStandsForItselfBehindABlockRuns(string text, char status)
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("BEGIN"), "BEGIN");
        var reply = await client.QueryAsync(text);
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(((string?)null, status)), reply.ToString());
    }

    [Test]
    public async Task PreparedStatementsFollowTheirKeysOverServers()
    {
        var clients = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Proxy.LoginAsync()));
        foreach (var client in clients)
        {
            await client.SendAsync(
                Parse("INSERT INTO a VALUES ($1, $2)", "ins"), Parse("SELECT v FROM a WHERE id = $1", "sel", 23), DescribeStatement("sel"), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).ToString(), Is.EqualTo("1\n1\nt[23]\nT[v:25]\nZ[I]"));
        }

        await Task.WhenAll(clients.Select(async (client, c) =>
        {
            for (var i = 0; i < 40; i++)
            {
                var id = ((c * 1000) + i).ToString(CultureInfo.InvariantCulture);
                await client.SendAsync(Bind("ins", values: [id, "v" + id]), Execute(), Sync(), Bind("sel", values: id), Execute(), Sync());
                Expect(await client.ReadUntilReadyAsync(), "INSERT 0 1");
                Assert.That((await client.ReadUntilReadyAsync()).Rows.Single().Single(), Is.EqualTo("v" + id));
            }
        }));
        foreach (var client in clients)
        {
            client.Dispose();
        }
    }

    [Test]
    public async Task AServerNeverMixesUpTwoClients()
    {
        using var one = await Proxy.LoginAsync();
        using var two = await Proxy.LoginAsync();
        await one.SendAsync(Parse("INSERT INTO a VALUES (1)"), Bind(), Sync());
        await one.ReadUntilReadyAsync();

        // The first client's portal has ended with its transaction: executing it must not reach a server that is another's by now.
        await one.SendAsync(Execute(), DescribePortal(), Sync());
        Assert.That((await one.ReadUntilReadyAsync()).SqlState, Is.EqualTo("34000"));
        Assert.That((await two.QueryAsync("SELECT count(*) FROM a")).ToString(), Is.EqualTo("T[count:20]\nD[0]\nC[SELECT 1]\nZ[I]"));
        Expect(await one.QueryAsync("BEGIN"), "BEGIN");
        await one.SendAsync(Bind("", "named"), Sync());
        await one.ReadUntilReadyAsync();
        Expect(await one.QueryAsync("COMMIT"), "COMMIT");
        await one.SendAsync(Execute("named"), Sync());
        Assert.That((await one.ReadUntilReadyAsync()).SqlState, Is.EqualTo("34000"));
        Assert.That((await two.QueryAsync("SELECT count(*) FROM a")).Rows.Single().Single(), Is.EqualTo("0"));
    }

    [Test]
    public async Task TheSearchPathIsNeverGuessed()
    {
        using var client = await Proxy.LoginAsync();
        Expect(await client.QueryAsync("SET search_path = other"), "SET");
        Assert.That((await client.QueryAsync("SELECT * FROM a WHERE id = 1")).Errors.Single().Field('D'), Is.EqualTo("SHP-211"));
        Expect(await client.QueryAsync("SELECT * FROM public.a WHERE id = 1"), "SELECT 0");
        Expect(await client.QueryAsync("SET search_path = public"), "SET");
        Expect(await client.QueryAsync("SELECT * FROM a WHERE id = 1"), "SELECT 0");
        Expect(await client.QueryAsync("RESET search_path"), "RESET");
        Expect(await client.QueryAsync("SELECT pg_catalog.set_config('search_path', 'other', false)"), "SELECT 1");
        Assert.That((await client.QueryAsync("SELECT * FROM a WHERE id = 1")).Errors.Single().Field('D'), Is.EqualTo("SHP-211"));
    }

    [Test]
    public async Task BackslashesAreReadAsTheServerReadsThem()
    {
        // With standard_conforming_strings off 'a\\b' has another value and 'a\'b' another end.
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("SET standard_conforming_strings = off")).SqlState, Is.EqualTo("0A000"));
        Assert.That((await client.QueryAsync("SHOW standard_conforming_strings")).Rows.Single().Single(), Is.EqualTo("on"));
        Expect(await client.QueryAsync("SET standard_conforming_strings = on"), "SET");
    }

    private static int Sum(string[][] counts) => counts.SelectMany(c => c).Sum(c => int.Parse(c, CultureInfo.InvariantCulture));

    private static void Expect(Transcript reply, params string[] tags) =>
        Assert.That((string.Join(';', reply.Tags), reply.SqlState), Is.EqualTo((string.Join(';', tags), (string?)null)), reply.ToString());
}
