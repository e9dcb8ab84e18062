using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects transparency while no table is placed: transaction control, SET and RESET, texts the lexer cannot read and errors of all of them are
/// PostgreSQL's own, every field included, also while other clients change what the servers are set to.
/// </summary>
[TestFixture(1)]
[TestFixture(2)]
internal sealed class UnshardedTests(int poolSize) : DataPathFixture
{
    private const string Reset = "DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, name text); INSERT INTO s.t SELECT i, 'n' || i FROM generate_series(1, 20) i; CREATE TABLE s.late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)";

    private const string NoticeAtCommit = """
        CREATE FUNCTION s.say() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'seen %', NEW.a; RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER say AFTER INSERT ON s.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION s.say()
        """;

    private static readonly (string, string)[] Startup = [("DateStyle", "Postgres, MDY"), ("TimeZone", "PST8PDT"), ("options", "-c intervalstyle=postgres_verbose")];

    protected override Placement Tables { get; } = new();

    protected override string Ddl => "SELECT 1";

    protected override int PoolSize => poolSize;

    private static IEnumerable<TestCaseData> Scripts()
    {
        foreach (var (name, steps) in All())
        {
            yield return new TestCaseData((object)steps.Select(s => new[] { Query(s) }).ToArray()).SetArgDisplayNames(name);
        }

        foreach (var (name, steps) in Extended())
        {
            yield return new TestCaseData((object)steps).SetArgDisplayNames(name);
        }
    }

    private static IEnumerable<(string Name, string[] Steps)> All()
    {
        yield return ("notices at commit", [NoticeAtCommit, "BEGIN", "INSERT INTO s.late VALUES (1)", "COMMIT", "SELECT * FROM s.late"]);
        yield return ("commit fails", ["BEGIN", "INSERT INTO s.late VALUES (1), (1)", "COMMIT", "SELECT count(*) FROM s.late"]);
        yield return ("a transaction sees its own begin", ["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "DELETE FROM s.t", "ROLLBACK"]);
        yield return ("set transaction too late", ["BEGIN", "SELECT 1", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "ROLLBACK"]);
        yield return ("set local first", ["BEGIN", "SET LOCAL work_mem = '7MB'", "SHOW work_mem", "COMMIT", "SHOW work_mem", "SET LOCAL work_mem = '7MB'"]);
        yield return ("savepoints in strings", ["SELECT 1; SAVEPOINT a", "ROLLBACK TO a; SELECT 2", "SELECT 1; RELEASE a; SELECT 3", "SELECT 1; BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT", "SELECT 1; COMMIT; SELECT 2; ROLLBACK; SELECT 3"]);
        yield return ("chains in strings", ["SET TRANSACTION READ ONLY; COMMIT AND CHAIN", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1; COMMIT AND CHAIN; SHOW transaction_isolation", "ROLLBACK AND CHAIN", "SHOW transaction_isolation", "COMMIT"]);
        yield return ("a block in parts of strings", ["SELECT 1; BEGIN; DELETE FROM s.t WHERE id = 1", "SAVEPOINT a; SELECT 1/0; SELECT 2", "ROLLBACK TO a; SELECT count(*) FROM s.t; COMMIT; SELECT 5", "SELECT count(*) FROM s.t"]);
        yield return ("savepoints of one name", ["BEGIN", "SAVEPOINT a", "DELETE FROM s.t WHERE id < 5", "SAVEPOINT a", "DELETE FROM s.t", "ROLLBACK TO a", "SELECT count(*) FROM s.t", "RELEASE a", "ROLLBACK TO a", "SELECT count(*) FROM s.t", "ROLLBACK TO b", "ABORT"]);
        yield return ("begin in a block", ["BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT 1/0", "BEGIN", "SAVEPOINT a", "END", "END"]);
        yield return ("two-phase commands", ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'nothing'", "BEGIN", "COMMIT PREPARED 'nothing'", "ROLLBACK", "BEGIN", "CREATE TEMP TABLE a (b int)", "PREPARE TRANSACTION 'x'", "SELECT 1"]);
        yield return ("a transaction made by two-phase commit", ["BEGIN", "DELETE FROM s.t WHERE id = 3", "PREPARE TRANSACTION 'mine'", "SELECT count(*) FROM s.t", "COMMIT PREPARED 'mine'", "SELECT count(*) FROM s.t"]);
        yield return ("half of a date style", ["SET datestyle = 'ISO, YMD'", "SET datestyle TO dmy", "SELECT date '1/2/2003'", "SET datestyle TO sql", "SHOW datestyle", "SELECT date '1/2/2003'"]);
        yield return ("reset goes back to the start-up packet", ["SET datestyle = 'ISO'", "RESET datestyle", "SHOW datestyle", "SELECT date '1/2/2003'", "SET TIME ZONE 'UTC'", "SET TIME ZONE DEFAULT", "SHOW timezone"]);
        yield return ("reset all goes back to the start-up packet", ["SET datestyle = 'ISO'", "SET work_mem = '5MB'", "SET intervalstyle = iso_8601", "RESET ALL", "SHOW datestyle", "SELECT interval '1 day 2 hours'", "SHOW work_mem"]);
        yield return ("time zone as an interval", ["SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "SHOW timezone", "SET TIME ZONE -3.5", "SHOW timezone", "SET TIME ZONE LOCAL", "SHOW timezone"]);
        yield return ("set and rolled back", ["SET work_mem = '5MB'", "BEGIN", "SET work_mem = '6MB'", "RESET datestyle", "SET datestyle = 'German'", "SAVEPOINT a", "SET search_path = s", "ROLLBACK TO a", "SHOW search_path", "ROLLBACK", "SHOW work_mem", "SHOW datestyle"]);
        yield return ("set in a failed string", ["SET work_mem = '5MB'; SELECT 1/0", "SHOW work_mem", "BEGIN; SET work_mem = '6MB'; COMMIT; SELECT 1/0", "SHOW work_mem"]);
        yield return ("names in the search path", ["SET search_path = \"A b\", \"$user\", 's'", "SHOW search_path", "SET search_path = ''", "SHOW search_path", "SET search_path = \"q\"\"x\", s", "SHOW search_path", "SELECT count(*) FROM t", "SELECT current_schemas(false)"]);
        yield return ("session characteristics", ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "DELETE FROM s.t", "SHOW default_transaction_read_only", "BEGIN READ WRITE", "DELETE FROM s.t", "ROLLBACK", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SELECT 1"]);
        yield return ("settings made by code", ["DO $$BEGIN SET work_mem = '5MB'; END$$", "SHOW work_mem", "DO $$BEGIN PERFORM set_config('datestyle', 'German', false); END$$", "SELECT date '2001-02-03'"]);
        yield return ("who one is", ["DROP ROLE IF EXISTS u_one, u_two", "CREATE ROLE u_one", "CREATE ROLE u_two", "SET SESSION AUTHORIZATION u_one", "SELECT session_user, current_user", "SET work_mem = '5MB'", "SET ROLE u_two", "SELECT * FROM s.t", "RESET SESSION AUTHORIZATION", "SELECT current_user = session_user", "SET ROLE u_two", "SELECT current_user", "RESET ALL", "SELECT current_user", "RESET ROLE", "SHOW role", "DROP ROLE u_one, u_two"]);
        yield return ("an own option", ["SHOW my.own", "SET my.own = 'x'", "SHOW my.own", "BEGIN", "SET my.own = 'y'", "ROLLBACK", "SHOW my.own", "RESET my.own", "SHOW my.own"]);
        yield return ("an own option in strings", ["SET work_mem = '5MB'; SET my.own = 'x'", "SHOW my.own", "SELECT 1; SET my.own = 'y'; SELECT 2", "SHOW my.own", "BEGIN; SET my.\"Own\" = 'z'; COMMIT", "SHOW my.own", "SHOW work_mem", "SET my.own = 'w'; SELECT 1/0", "SHOW my.own"]);
        yield return ("texts the lexer refuses", ["CREATE TABLE s.x (a int) USING \"\"", "SELECT 'open", "SELECT 1; SELECT \"", "BEGIN", "SELECT $$ open", "SELECT 1", "ROLLBACK"]);
        yield return ("backslashes that escape", ["SET standard_conforming_strings = off", "SET escape_string_warning = off", "SELECT 'a\\'b; SELECT 2', 'c\\\\'", "SELECT 'it''s'", "BEGIN", "SELECT 'a\\'; COMMIT; b'", "COMMIT", "SELECT 'x\\\\'; SELECT 'y\\''", "SET standard_conforming_strings = on", "SELECT 'a\\'", "SELECT 'a\\' 'b'"]);
        yield return ("another encoding", ["SET client_encoding = 'LATIN1'", "SELECT 'abc'", "SHOW client_encoding", "RESET client_encoding", "SELECT U&'\\00e4'"]);
    }

    private static IEnumerable<(string Name, byte[][][] Steps)> Extended()
    {
        static byte[][] Run(params string[] texts) => [.. texts.SelectMany(t => new[] { Parse(t), Bind(), DescribePortal(), Execute() }), Sync()];
        yield return ("extended: transactions", [Run("BEGIN ISOLATION LEVEL SERIALIZABLE"), Run("SAVEPOINT a"), Run("SELECT 1/0"), Run("SELECT 1"), Run("ROLLBACK TO a"), Run("SHOW transaction_isolation"), Run("COMMIT AND CHAIN"), Run("SHOW transaction_isolation"), Run("COMMIT"), Run("COMMIT")]);
        yield return ("extended: a block in one pipeline", [Run("BEGIN", "DELETE FROM s.t WHERE id = 1", "SAVEPOINT a", "DELETE FROM s.t", "ROLLBACK TO a", "COMMIT", "SELECT count(*) FROM s.t"), Run("BEGIN", "SELECT 1/0", "COMMIT"), Run("ROLLBACK"), [Query("SELECT count(*) FROM s.t")]]);
        yield return ("extended: statements before BEGIN", [Run("DELETE FROM s.t WHERE id = 1", "BEGIN", "DELETE FROM s.t WHERE id = 2"), Run("ROLLBACK"), [Query("SELECT count(*) FROM s.t")]]);
        yield return ("extended: settings", [Run("SET datestyle = 'ISO'", "SET datestyle TO ymd"), Run("SHOW datestyle"), Run("RESET datestyle"), [Query("SHOW datestyle")]]);
        yield return ("extended: an own option", [Run("SELECT 1", "SET my.own = 'x'", "SELECT 2"), Run("SHOW my.own"), [Query("SHOW my.own")]]);
        yield return ("extended: named", [[Parse("BEGIN", "b"), Parse("COMMIT", "c"), DescribeStatement("b"), Sync()], [Bind("b"), Execute(), Sync()], [Bind("b"), Execute(), Sync()], [Bind("c"), Execute(), Sync()], [Bind("c"), Execute(), Sync()]]);
        yield return ("extended: cursors of SQL", [[Query("BEGIN; DECLARE c CURSOR FOR SELECT 7 AS a; DECLARE d CURSOR FOR SELECT 8 AS b")], [DescribePortal("c"), Execute("c"), Sync()], [ClosePortal("c"), ClosePortal("d"), Sync()], [Execute("d"), Sync()], [Query("ROLLBACK")], [DescribePortal("c"), Sync()]]);
        // pgjdbc with autosave: the block is begun in the pipeline, and a simple SAVEPOINT follows without a Sync.
        yield return ("extended: a query in a block that its pipeline has begun", [[Parse("BEGIN"), Bind(), Execute(), Query("SAVEPOINT a"), Parse("DELETE FROM s.t WHERE id = 1"), Bind(), DescribePortal(), Execute(), Sync()], [], [Query("ROLLBACK TO a")], [Query("SELECT count(*) FROM s.t")], [Query("COMMIT")]]);
        yield return ("extended: a query behind statements and BEGIN", [[Parse("DELETE FROM s.t WHERE id = 1"), Bind(), Execute(), Parse("START TRANSACTION"), Bind(), Execute(), Query("SELECT count(*) FROM s.t")], [Query("ROLLBACK")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("extended: a query behind a failed BEGIN", [[Parse("SELECT 1/0"), Bind(), Execute(), Parse("BEGIN"), Bind(), Execute(), Query("SELECT 1"), Sync()], [Query("SELECT 2")]]);
        yield return ("extended: unreadable", [[Parse("SELECT 'open"), Sync()], Run("SELECT 1"), [Query("SET standard_conforming_strings = off; SET escape_string_warning = off")], Run("SELECT 'a\\'b'")]);
    }

    [TestCaseSource(nameof(Scripts))]
    public async Task TheSameMessagesComeBack(byte[][][] steps)
    {
        var expected = await ExpectedAsync(steps);
        await DirectAsync(0, Reset);
        AssertSame(await SameAsPostgresTests.PlayAsync(await Proxy.LoginAsync(Startup), steps), expected);

        // Nothing of this client is left for the next.
        using var next = await Proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SHOW work_mem")).Rows[0][0], Is.EqualTo("4MB"));
        Assert.That((await next.QueryAsync("SHOW datestyle")).Rows[0][0], Is.EqualTo("ISO, MDY"));
        Assert.That((await next.QueryAsync("SELECT current_user = session_user, current_setting('my.own', true)")).Rows[0], Is.EqualTo(new[] { "t", null }));
    }

    private static IEnumerable<TestCaseData> SharedNames() =>
        SameAsPostgresTests.SharedNames().Select(s => new TestCaseData((object)s.Steps).SetArgDisplayNames(s.Name));

    /// <summary>Statements of PREPARE and of Parse have their names in common here too; the proxy keeps the names, so some errors are its own.</summary>
    [TestCaseSource(nameof(SharedNames))]
    public async Task NamesOfStatementsAreShared(byte[][][] steps)
    {
        await DirectAsync(0, Reset);
        var expected = await SameAsPostgresTests.PlayAsync(await DirectLoginAsync(0), steps);
        await DirectAsync(0, Reset);
        SameAsPostgresTests.AssertSame(await SameAsPostgresTests.PlayAsync(await Proxy.LoginAsync(), steps), expected);
    }

    // lib/pq's Ping is an empty query: it has to find out that the backend was ended.
    [Test]
    public async Task AnEmptyQueryTellsOfTheEndOfItsBackend()
    {
        await using var proxy = await StartProxyAsync(poolSize: 3);
        using var victim = await proxy.LoginAsync();
        using var killer = await proxy.LoginAsync();
        Assert.That((await victim.QueryAsync(";")).ToString(), Is.EqualTo((await killer.QueryAsync(";")).ToString()));
        await killer.QueryAsync($"SELECT pg_terminate_backend({victim.ProcessId})");
        await victim.SendAsync(Query(";"));
        var end = await victim.ReadUntilReadyAsync();
        Assert.That((end.SqlState, end.Status), Is.EqualTo(("57P01", (char?)null)), end.ToString());
        Assert.That((await killer.QueryAsync(";")).ToString(), Is.EqualTo("I\nZ[I]"));
    }

    [TestCaseSource(nameof(Scripts))]
    public async Task TheSameMessagesComeBackWhileOtherClientsUseTheServers(byte[][][] steps)
    {
        var expected = await ExpectedAsync(steps);
        await DirectAsync(0, Reset);
        using var other = await Proxy.LoginAsync();
        using var client = await Proxy.LoginAsync(Startup);
        var actual = new List<string[]>();
        foreach (var step in steps)
        {
            actual.Add(await SameAsPostgresTests.StepAsync(client, step));
            if (actual[^1][^1] == "Z[I]" && Proxy.Plane.Sessions().All(s => !s.IsPinned))
            {
                Assert.That((await other.QueryAsync("SET work_mem = '9MB'; SET search_path = pg_catalog; SET datestyle = 'SQL, DMY'")).SqlState, Is.Null);
            }
        }

        AssertSame(actual, expected);
    }

    /// <summary>Texts in another encoding are told apart by their bytes, though none of them is UTF-8.</summary>
    [Test]
    public async Task TwoTextsInAnotherEncodingAreTwoStatements()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET client_encoding = 'LATIN1'");
        foreach (var (name, letter) in new[] { ("p", (byte)0xe8), ("q", (byte)0xe9) })
        {
            await client.SendAsync(Raw('P', [(byte)name[0], 0, .. "SELECT ascii('"u8, letter, .. "')"u8, 0, 0, 0]), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        }

        foreach (var (name, code) in new[] { ("p", "232"), ("q", "233"), ("p", "232") })
        {
            await client.SendAsync(Bind(name), Execute(), Sync());
            var reply = await client.ReadUntilReadyAsync();
            Assert.That(reply.Rows.Select(r => r[0]), Is.EqualTo(new[] { code }), reply.ToString());
        }
    }

    /// <summary>
    /// A simple query without a Sync before it would be part of the implicit transaction of what was executed: neither is done.
    /// </summary>
    [Test]
    public async Task AQueryDoesNotEndAnImplicitTransactionOfThePipeline()
    {
        await DirectAsync(0, Reset);
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("DELETE FROM s.t WHERE id = 1"), Bind(), Execute(), Query("DELETE FROM s.t"), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.Errors.Single().Field('D'), Is.EqualTo("SHP-224"), reply.ToString());
        Assert.That((await client.QueryAsync("SELECT count(*) FROM s.t")).Rows[0][0], Is.EqualTo("20"));
    }

    /// <summary>A transaction's snapshot is taken by its first query and not by one of the proxy's.</summary>
    [TestCase("BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL work_mem = '7MB'; SET LOCAL random_page_cost = 2")]
    [TestCase("BEGIN ISOLATION LEVEL REPEATABLE READ; SET search_path = s")]
    public async Task ASnapshotIsTakenByTheClientsFirstQuery(string begin)
    {
        await DirectAsync(0, Reset);
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(begin)).SqlState, Is.Null);
        await DirectAsync(0, "INSERT INTO s.t VALUES (100, 'x')");
        Assert.That((await client.QueryAsync("SELECT count(*) FROM s.t")).Rows[0][0], Is.EqualTo("21"));
        await client.QueryAsync("ROLLBACK");
    }

    /// <summary>Connections that the proxy keeps for nobody do not stand in the way of what a server does only to an unused database.</summary>
    [Test]
    public async Task AnUnusedDatabaseCanBeCopiedRenamedAndDropped([Values] bool isExtended)
    {
        var name = $"{Database}_used{(isExtended ? "_x" : "")}";
        using var client = await Proxy.LoginAsync();
        Assert.That((await RunAsync($"CREATE DATABASE {name}")).SqlState, Is.Null);
        await UseAsync(name);
        Assert.That((await RunAsync($"CREATE DATABASE {name}_copy TEMPLATE {name}")).SqlState, Is.Null);
        await UseAsync(name);
        Assert.That((await RunAsync($"ALTER DATABASE {name} RENAME TO {name}_again")).SqlState, Is.Null);
        await UseAsync($"{name}_again");
        using (await ScriptedClient.LoginAsync(Proxy.Port, TestCluster.User, $"{name}_again", TestCluster.Password, default, []))
        {
            Assert.That((await RunAsync($"DROP DATABASE {name}_again")).SqlState, Is.EqualTo("55006"), "a client is connected to it");
        }

        Assert.That((await RunAsync($"DROP DATABASE {name}_again WITH (FORCE)")).SqlState, Is.Null);
        Assert.That((await RunAsync($"DROP DATABASE {name}_copy")).SqlState, Is.Null);

        Task<Transcript> RunAsync(string sql) => isExtended ? client.ExecuteAsync(sql) : client.QueryAsync(sql);

        async Task UseAsync(string database)
        {
            using var other = await ScriptedClient.LoginAsync(Proxy.Port, TestCluster.User, database, TestCluster.Password, default, []);
            Assert.That((await other.QueryAsync("SELECT 1")).SqlState, Is.Null);
        }
    }

    /// <summary>What SQL has prepared on the home node alone must not answer for a table that other nodes have a part of by now.</summary>
    [Test]
    public async Task AnExecuteAsksAllNodesOnceItsTableIsPlaced()
    {
        foreach (var node in Proxy.Plane.Current.Nodes)
        {
            await DirectAsync(node.Id - 1, "CREATE TABLE IF NOT EXISTS sharded (id int PRIMARY KEY, v text)");
        }

        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("PREPARE p AS SELECT count(*) FROM sharded")).SqlState, Is.Null);
        Assert.That((await client.QueryAsync("EXECUTE p")).Rows[0][0], Is.EqualTo("0"));
        var placed = new Placement().Sharded("sharded", "id int4, v text", "id").Build(Proxy.Plane.Current.Nodes);
        await Proxy.PublishAsync(
            t => new(t.Epoch + 1, t.PlacementVersion + 1, t.Nodes, placed.Groups, placed.Tables, [], [], []), DrainScope.None, TimeSpan.FromSeconds(5));
        try
        {
            await DirectAsync(Proxy.Plane.Current.Nodes.Max(n => n.Id) - 1, "INSERT INTO sharded VALUES (1)");
            Assert.That((await client.QueryAsync("EXECUTE p")).Rows[0][0], Is.EqualTo("1"));
            await client.SendAsync(Bind("p"), Execute(), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).Errors.Single().Field('D'), Is.EqualTo("SHP-210"));
            Assert.That((await client.QueryAsync("DEALLOCATE p")).SqlState, Is.Null);
        }
        finally
        {
            await Proxy.PublishAsync(
                t => new(t.Epoch + 1, t.PlacementVersion + 1, t.Nodes, [], [], [], [], []), DrainScope.None, TimeSpan.FromSeconds(5));
        }
    }

    /// <summary>A table is placed while a block is open that the home node has run by itself so far: it ends as it began.</summary>
    [Test]
    public async Task ABlockOutlivesThePlacementOfATable()
    {
        await DirectAsync(0, Reset);
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("BEGIN ISOLATION LEVEL REPEATABLE READ");
        await client.QueryAsync("SAVEPOINT a");
        await client.QueryAsync("DELETE FROM s.t");
        var placed = new Placement().Sharded("sharded", "id int4, v text", "id").Build(Proxy.Plane.Current.Nodes);
        await Proxy.PublishAsync(
            t => new(t.Epoch + 1, t.PlacementVersion + 1, t.Nodes, placed.Groups, placed.Tables, [], [], []), DrainScope.None, TimeSpan.FromSeconds(5));
        try
        {
            Assert.That((await client.QueryAsync("ROLLBACK TO a")).SqlState, Is.Null);
            Assert.That((await client.QueryAsync("SHOW transaction_isolation")).Rows[0][0], Is.EqualTo("repeatable read"));
            Assert.That((await client.QueryAsync("SELECT count(*) FROM s.t")).Rows[0][0], Is.EqualTo("20"));
            Assert.That((await client.QueryAsync("COMMIT")).ToString(), Does.EndWith("Z[I]"));
        }
        finally
        {
            await Proxy.PublishAsync(
                t => new(t.Epoch + 1, t.PlacementVersion + 1, t.Nodes, [], [], [], [], []), DrainScope.None, TimeSpan.FromSeconds(5));
        }
    }

    private async Task<List<string[]>> ExpectedAsync(byte[][][] steps)
    {
        await DirectAsync(0, Reset);
        return await SameAsPostgresTests.PlayAsync(await DirectLoginAsync(0, Startup), steps);
    }

    private static void AssertSame(List<string[]> actual, List<string[]> expected)
    {
        for (var step = 0; step < expected.Count; step++)
        {
            // Reported parameters may come later than on one connection, or twice: their last values are compared by what depends on them.
            Assert.That(
                actual[step].Where(m => m[0] != 'S'), Is.EqualTo(expected[step].Where(m => m[0] != 'S')),
                $"step {step}, PostgreSQL says:\n{string.Join('\n', expected[step])}\n\nthe proxy says:\n{string.Join('\n', actual[step])}\n");
        }
    }
}
