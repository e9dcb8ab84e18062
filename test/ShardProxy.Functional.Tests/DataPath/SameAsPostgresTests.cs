using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects transparency on unsharded tables: the same bytes sent to PostgreSQL itself and through the proxy bring the same messages back,
/// errors byte for byte, in both protocols, transactions and COPY included. Pools of one and two servers make sessions change servers.
/// </summary>
[TestFixture(1)]
[TestFixture(2)]
internal sealed partial class SameAsPostgresTests(int poolSize) : DataPathFixture
{
    private const string Reset = "DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, name text); INSERT INTO s.t SELECT i, 'n' || i FROM generate_series(1, 20) i; CREATE TABLE s.empty (a int CHECK (a > 0), b text)";

    protected override Placement Tables { get; } = new Placement().Sharded("sharded", "id int4, v text", "id").Replicated("reference", "id int4, v text");

    protected override string Ddl => "CREATE TABLE sharded (id int PRIMARY KEY, v text); CREATE TABLE reference (id int PRIMARY KEY, v text);";

    protected override int PoolSize => poolSize;

    [GeneratedRegex("prepared statement \"[^\"]*\"")]
    private static partial Regex ServerName { get; }

    private static IEnumerable<TestCaseData> Scripts()
    {
        foreach (var (name, steps) in All())
        {
            yield return new TestCaseData((object)steps).SetArgDisplayNames(name);
        }
    }

    /// <summary>Each step is sent in one write and read to its ReadyForQuery.</summary>
    private static IEnumerable<(string Name, byte[][][] Steps)> All()
    {
        // Simple protocol.
        yield return ("select", [[Query("SELECT id, name FROM s.t ORDER BY id LIMIT 3")]]);
        yield return ("empty", [[Query("")], [Query(";")], [Query(" -- nothing\n")], [Query(" ; ; ")]]);
        yield return ("errors", [[Query("SELECT * FROM nowhere")], [Query("SELEC 1")], [Query("SELECT 1/0")], [Query("INSERT INTO s.t VALUES (1, 'x')")]]);
        yield return ("writes", [[Query("INSERT INTO s.t VALUES (100, 'x') RETURNING *")], [Query("UPDATE s.t SET name = 'y' WHERE id = 100")], [Query("DELETE FROM s.t WHERE id > 10")]]);
        yield return ("several statements", [[Query("SELECT 1; SELECT 2; INSERT INTO s.t VALUES (101, 'b')")], [Query("INSERT INTO s.t VALUES (102, 'c'); SELECT 1/0; SELECT 3")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("block", [[Query("BEGIN")], [Query("INSERT INTO s.t VALUES (100, 'x')")], [Query("COMMIT")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("rollback", [[Query("BEGIN")], [Query("DELETE FROM s.t")], [Query("SELECT count(*) FROM s.t")], [Query("ROLLBACK")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("failed block", [[Query("BEGIN")], [Query("INSERT INTO s.t VALUES (100, 'x')")], [Query("SELECT 1/0")], [Query("SELECT 1")], [Query("COMMIT")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("savepoints", [[Query("BEGIN")], [Query("INSERT INTO s.t VALUES (100, 'x')")], [Query("SAVEPOINT a")], [Query("SELECT 1/0")], [Query("SELECT 1")], [Query("ROLLBACK TO a")], [Query("RELEASE a")], [Query("RELEASE a")], [Query("ROLLBACK")]]);
        yield return ("savepoint by any name", [[Query("BEGIN")], [Query("SAVEPOINT \"A b\"\"c\"")], [Query("DELETE FROM s.t")], [Query("ROLLBACK TO SAVEPOINT \"A b\"\"c\"")], [Query("SAVEPOINT \"A b\"\"c\"")], [Query("COMMIT")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("savepoints outside", [[Query("SAVEPOINT a")], [Query("ROLLBACK TO a")], [Query("RELEASE a")], [Query("COMMIT")], [Query("ROLLBACK")], [Query("BEGIN")], [Query("BEGIN")], [Query("COMMIT")]]);
        yield return ("chain", [[Query("BEGIN ISOLATION LEVEL SERIALIZABLE")], [Query("INSERT INTO s.t VALUES (100, 'x')")], [Query("COMMIT AND CHAIN")], [Query("SHOW transaction_isolation")], [Query("DELETE FROM s.t")], [Query("ROLLBACK AND CHAIN")], [Query("SELECT count(*) FROM s.t")], [Query("COMMIT")], [Query("COMMIT AND CHAIN")]]);
        yield return ("begin with modes", [[Query("BEGIN READ ONLY")], [Query("INSERT INTO s.t VALUES (100, 'x')")], [Query("ROLLBACK")], [Query("START TRANSACTION ISOLATION LEVEL REPEATABLE READ")], [Query("SHOW transaction_isolation")], [Query("END")]]);
        yield return ("set transaction", [[Query("BEGIN")], [Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")], [Query("SHOW transaction_isolation")], [Query("ABORT")]]);
        yield return ("block in one string", [[Query("BEGIN; INSERT INTO s.t VALUES (100, 'x'); COMMIT")], [Query("BEGIN; DELETE FROM s.t; ROLLBACK; SELECT count(*) FROM s.t")], [Query("BEGIN; SELECT 1")], [Query("SELECT 1/0")], [Query("ROLLBACK; SELECT 5")]]);
        yield return ("savepoint in a string", [[Query("BEGIN; SAVEPOINT a; DELETE FROM s.t")], [Query("ROLLBACK TO a")], [Query("SELECT count(*) FROM s.t; COMMIT")], [Query("SELECT 1")]]);
        yield return ("error inside a string", [[Query("BEGIN; DELETE FROM s.t; SELECT 1/0; COMMIT")], [Query("SELECT 1")], [Query("COMMIT; SELECT count(*) FROM s.t")]]);
        yield return ("block modes in a string", [[Query("BEGIN READ ONLY; SELECT 1")], [Query("SELECT 2")], [Query("DELETE FROM s.t")], [Query("ROLLBACK")]]);
        yield return ("deferred constraint", [[Query("CREATE TABLE s.d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")], [Query("BEGIN")], [Query("INSERT INTO s.d VALUES (1), (1)")], [Query("COMMIT")], [Query("SELECT count(*) FROM s.d")]]);
        yield return ("settings", [[Query("SET work_mem = '5MB'")], [Query("SHOW work_mem")], [Query("BEGIN")], [Query("SET work_mem = '6MB'")], [Query("ROLLBACK")], [Query("SHOW work_mem")], [Query("RESET work_mem")], [Query("SHOW work_mem")]]);
        yield return ("settings reported", [[Query("SET datestyle = 'German'")], [Query("SELECT '2001-02-03'::date")], [Query("SET TIME ZONE 'Europe/Berlin'")], [Query("SELECT '2001-02-03 00:00 UTC'::timestamptz")], [Query("RESET ALL")], [Query("SELECT '2001-02-03'::date")]]);
        yield return ("wrong settings", [[Query("SET nothing_such = 1")], [Query("SET work_mem = 'a lot'")], [Query("SHOW nothing_such")], [Query("SET my.own = 'x'")], [Query("SHOW my.own")]]);
        yield return ("set local", [[Query("BEGIN")], [Query("SET LOCAL work_mem = '7MB'")], [Query("SHOW work_mem")], [Query("COMMIT")], [Query("SHOW work_mem")]]);
        yield return ("settings and savepoints", [[Query("BEGIN")], [Query("SET work_mem = '7MB'")], [Query("SAVEPOINT a")], [Query("SET work_mem = '8MB'")], [Query("ROLLBACK TO a")], [Query("SHOW work_mem")], [Query("COMMIT")], [Query("SHOW work_mem")]]);
        yield return ("notices", [[Query("DROP TABLE IF EXISTS s.nothing")], [Query("SET LOCAL work_mem = '7MB'")], [Query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")], [Query("SELECT 1")]]);
        yield return ("temporary table", [[Query("CREATE TEMP TABLE tmp (a int)")], [Query("INSERT INTO tmp VALUES (1), (2)")], [Query("SELECT * FROM tmp")], [Query("DROP TABLE tmp")]]);
        yield return ("sql prepare", [[Query("PREPARE p AS SELECT name FROM s.t WHERE id = $1")], [Query("EXECUTE p(3)")], [Query("DEALLOCATE p")], [Query("EXECUTE p(3)")], [Query("DEALLOCATE ALL")]]);
        yield return ("cursor", [[Query("BEGIN")], [Query("DECLARE c CURSOR FOR SELECT id FROM s.t ORDER BY id")], [Query("FETCH 2 FROM c")], [Query("MOVE 3 FROM c")], [Query("FETCH 1 FROM c")], [Query("CLOSE c")], [Query("COMMIT")]]);
        yield return ("declared cursor as a portal", [[Query("BEGIN")], [Parse("DECLARE c CURSOR WITH HOLD FOR SELECT id FROM s.t ORDER BY id"), Bind(), Execute(), Sync()], [DescribePortal("c"), Sync()], [Execute("c", 2), Sync()], [Query("FETCH 1 FROM c")], [Query("COMMIT")], [DescribePortal("c"), Sync()], [Execute("c", 2), Sync()], [ClosePortal("c"), Sync()], [Query("FETCH 1 FROM c")]]);
        yield return ("discard all", [[Query("SET work_mem = '5MB'")], [Query("DISCARD ALL")], [Query("SHOW work_mem")], [Query("CREATE TEMP TABLE tmp (a int)")], [Query("DISCARD ALL")], [Query("SELECT * FROM tmp")], [Query("BEGIN")], [Query("DISCARD ALL")], [Query("ROLLBACK")]]);
        yield return ("discard all and prepared", [[Parse("SELECT 7 AS a", "p"), Sync()], [Bind("p"), Execute(), Sync()], [Query("DISCARD ALL")], [Bind("p"), Execute(), Sync()], [Parse("SELECT 7 AS a", "p"), Bind("p"), Execute(), Sync()]]);
        yield return ("deallocate what was parsed", [[Parse("SELECT 7 AS a", "p"), Sync()], [Query("DEALLOCATE p")], [Bind("p"), Execute(), Sync()], [Parse("SELECT 8 AS a", "p"), Bind("p"), Execute(), Sync()], [Query("DEALLOCATE ALL")], [Bind("p"), Execute(), Sync()], [Query("DEALLOCATE p")]]);
        yield return ("prepare transaction in a failed block", [[Query("BEGIN")], [Query("DELETE FROM s.t")], [Query("SELECT 1/0")], [Query("COMMIT PREPARED 'nothing'")], [Query("PREPARE TRANSACTION 'failed'")], [Query("SELECT count(*) FROM s.t")], [Query("PREPARE TRANSACTION 'nothing'")], [Query("BEGIN")], [Parse("SELECT 1/0"), Bind(), Execute(), Sync()], [Parse("PREPARE TRANSACTION 'failed'"), Bind(), Execute(), Sync()], [Query("BEGIN; SELECT 1/0")], [Query("PREPARE TRANSACTION 'failed'; SELECT 1")], [Query("ROLLBACK PREPARED 'failed'")]]);
        yield return ("prepare transaction with settings that fails", [[Query("BEGIN")], [Query("SET work_mem = '5MB'")], [Query("CREATE TEMP TABLE tmp (a int)")], [Query("PREPARE TRANSACTION 'temporary'")], [Query("SHOW work_mem")], [Query("SELECT 1")]]);
        yield return ("empty in a failed block", [[Query("BEGIN")], [Query("SELECT 1/0")], [Query("")], [Query(" ; -- nothing")], [Parse(""), DescribeStatement(), Bind(), DescribePortal(), Execute(), Sync()], [Parse("-- nothing", "e"), Sync()], [Bind("e"), Execute(), Sync()], [Query("ROLLBACK")], [Bind("e"), Execute(), Sync()], [Parse(";"), Bind(values: "1"), Execute(), Sync()]]);
        foreach (var script in SharedNames())
        {
            yield return script;
        }

        yield return ("copy out", [[Query("COPY s.t TO STDOUT")], [Query("COPY (SELECT 1, 'a') TO STDOUT CSV HEADER")], [Query("COPY nowhere TO STDOUT")]]);
        yield return ("copy in", [[Query("COPY s.empty FROM STDIN"), CopyData("1\ta\n2\t"), CopyData("b\n"), CopyDone()], [Query("SELECT * FROM s.empty")]]);
        yield return ("copy in fails", [[Query("COPY s.empty FROM STDIN"), CopyData("0\ta\n"), CopyDone()], [Query("COPY s.empty FROM STDIN"), CopyData("1\ta\n"), CopyFail("no more")], [Query("SELECT count(*) FROM s.empty")]]);
        yield return ("copy in a block", [[Query("BEGIN")], [Query("COPY s.empty FROM STDIN CSV"), CopyData("1,a\n"), CopyDone()], [Query("COPY s.empty FROM STDIN CSV"), CopyData("x,a\n"), CopyDone()], [Query("COMMIT")], [Query("SELECT count(*) FROM s.empty")]]);
        yield return ("copies in a string", [[Query("COPY s.empty FROM STDIN; SELECT 1; COPY s.empty FROM STDIN"), CopyData("1\ta\n"), CopyDone(), CopyData("2\tb\n"), CopyDone()], [Query("SELECT * FROM s.empty ORDER BY a")]]);
        yield return ("stray copy messages", [[CopyData("x"), CopyDone(), CopyFail("x"), Query("SELECT 1")]]);
        yield return ("large rows", [[Query("SELECT repeat('x', 300000), i FROM generate_series(1, 5) i")], [Query("SELECT repeat('y', 40000) AS a")]]);
        yield return ("large error", [[Query("DO $$ BEGIN RAISE EXCEPTION '%', repeat('e', 100000); END $$")], [Query("SELECT 1")]]);

        // Extended protocol.
        yield return ("extended", [[Parse("SELECT id, name FROM s.t WHERE id = $1"), Bind(values: "3"), DescribePortal(), Execute(), Sync()]]);
        yield return ("describe a statement", [[Parse("SELECT name FROM s.t WHERE id = $1", "p"), DescribeStatement("p"), Sync()], [Bind("p", values: "4"), DescribePortal(), Execute(), Sync()], [Bind("p", values: "5"), Execute(), Sync()], [CloseStatement("p"), Sync()], [Bind("p", values: "5"), Execute(), Sync()]]);
        yield return ("empty statement", [[Parse(""), DescribeStatement(), Bind(), DescribePortal(), Execute(), Sync()], [Parse(" ; "), Bind(), Execute(), Sync()]]);
        yield return ("two statements at once", [[Parse("SELECT 1; SELECT 2"), Bind(), Execute(), Sync()], [Query("SELECT 1")]]);
        yield return ("parse error", [[Parse("SELEC 1"), Bind(), Execute(), Sync()], [Parse("SELECT * FROM nowhere", "p"), Sync()], [Bind("p"), Execute(), Sync()], [Parse("SELECT 1 AS a", "p"), Bind("p"), Execute(), Sync()]]);
        yield return ("parse fails, then works", [[Parse("SELECT * FROM s.later", "p"), Sync()], [Query("CREATE TABLE s.later (a int)")], [Parse("SELECT * FROM s.later", "p"), Bind("p"), DescribePortal(), Execute(), Sync()], [Bind("p"), Execute(), Sync()]]);
        yield return ("name taken", [[Parse("SELECT 1", "p"), Sync()], [Parse("SELECT 2", "p"), Sync()], [Bind("p"), Execute(), Sync()]]);
        yield return ("bind errors", [[Parse("SELECT $1::int", "p"), Sync()], [Bind("p", values: "x"), Execute(), Sync()], [Bind("p"), Execute(), Sync()], [Bind("q"), Execute(), Sync()], [Bind("p", values: "7"), Execute(), Sync()]]);
        yield return ("execute nothing", [[Execute("nothing"), Sync()], [DescribePortal("nothing"), Sync()], [DescribeStatement("nothing"), Sync()], [ClosePortal("nothing"), CloseStatement("nothing"), Sync()]]);
        yield return ("portal ends with its transaction", [[Parse("SELECT 1 AS a"), Bind(), Sync()], [Execute(), Sync()], [Query("BEGIN")], [Parse("SELECT id FROM s.t ORDER BY id"), Bind("", "c"), Execute("c", 2), Sync()], [Query("COMMIT")], [Execute("c", 2), Sync()], [Query("SELECT 1")]]);
        yield return ("rows in pieces", [[Query("BEGIN")], [Parse("SELECT id FROM s.t ORDER BY id"), Bind("", "c"), Execute("c", 3), Sync()], [Execute("c", 3), Sync()], [Query("SELECT 1")], [DescribePortal("c"), Execute("c", 0), Sync()], [ClosePortal("c"), Sync()], [Execute("c", 1), Sync()], [Query("ROLLBACK")]]);
        yield return ("pieces in one pipeline", [[Parse("SELECT id FROM s.t ORDER BY id"), Bind(), Execute("", 2), Execute("", 2), Execute("", 100), Sync()]]);
        yield return ("pipeline with an error", [[Parse("INSERT INTO s.t VALUES ($1, 'p')", "i"), Sync()], [Bind("i", values: "200"), Execute(), Bind("i", values: "200"), Execute(), Bind("i", values: "201"), Execute(), Sync(), Bind("i", values: "202"), Execute(), Sync()], [], [Query("SELECT id FROM s.t WHERE id >= 200")]]);
        yield return ("flush", [[Parse("SELECT 1 AS a"), Flush(), Bind(), Flush(), Execute(), Flush(), Sync()]]);
        yield return ("binary results", [[Parse("SELECT id, name FROM s.t WHERE id = $1", "", 23), Bind("", "", [1], [[0, 0, 0, 5]], [1]), DescribePortal(), Execute(), Sync()]]);
        yield return ("extended block", [[Parse("BEGIN"), Bind(), Execute(), Sync()], [Parse("DELETE FROM s.t"), Bind(), Execute(), Sync()], [Parse("ROLLBACK"), Bind(), Execute(), Sync()], [Parse("SELECT count(*) FROM s.t"), Bind(), Execute(), Sync()]]);
        yield return ("block in a pipeline", [[Parse("BEGIN"), Bind(), Execute(), Parse("DELETE FROM s.t WHERE id = 1"), Bind(), Execute(), Parse("COMMIT"), Bind(), Execute(), Sync()], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("described transaction", [[Parse("BEGIN", "b"), DescribeStatement("b"), Bind("b"), DescribePortal(), Execute(), Sync()], [Parse("COMMIT", "c"), DescribeStatement("c"), Bind("c"), DescribePortal(), Execute(), Sync()]]);
        yield return ("commit without a block", [[Parse("INSERT INTO s.t VALUES (300, 'c')"), Bind(), Execute(), Parse("COMMIT"), Bind(), Execute(), Sync()], [Query("SELECT count(*) FROM s.t WHERE id = 300")]]);
        yield return ("rollback without a block", [[Parse("INSERT INTO s.t VALUES (300, 'c')"), Bind(), Execute(), Parse("ROLLBACK"), Bind(), Execute(), Sync()], [Query("SELECT count(*) FROM s.t WHERE id = 300")]]);
        yield return ("failed block by parse", [[Query("BEGIN")], [Query("DELETE FROM s.t")], [Parse("SELEC"), Sync()], [Query("COMMIT")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("failed block, extended", [[Query("BEGIN")], [Parse("SELECT 1/0"), Bind(), Execute(), Sync()], [Parse("SELECT 1"), Bind(), Execute(), Sync()], [Parse("COMMIT"), Bind(), Execute(), Sync()], [Query("SELECT 1")]]);
        yield return ("extended set", [[Parse("SET work_mem = '5MB'"), Bind(), DescribePortal(), Execute(), Sync()], [Parse("SHOW work_mem"), Bind(), DescribePortal(), Execute(), Sync()]]);
        yield return ("extended copy out", [[Parse("COPY s.t TO STDOUT"), Bind(), Execute(), Sync()]]);
        yield return ("extended copy in", [[Parse("COPY s.empty FROM STDIN"), Bind(), Execute(), CopyData("1\ta\n"), CopyData("2\tb\n"), CopyDone(), Sync()], [Query("SELECT * FROM s.empty")]]);
        yield return ("extended copy in, sync ahead", [[Parse("COPY s.empty FROM STDIN"), Bind(), Execute(), Sync(), CopyData("1\ta\n"), CopyDone(), Sync()], [Query("SELECT * FROM s.empty")]]);
        yield return ("extended copy in fails", [[Parse("COPY s.empty FROM STDIN"), Bind(), Execute(), CopyData("1\ta\n"), CopyFail("stop"), Sync()], [Query("SELECT count(*) FROM s.empty")]]);
        yield return ("function call", [[Raw('F', [0, 0, 0x03, 0x79, 0, 0, 0, 1, 0, 0, 0, 2, 0x2d, 0x35, 0, 0])], [Query("SELECT 1")]]);
        yield return ("query without a sync before it", [[Parse("SELECT 1 AS a", "p"), Query("SELECT 2 AS b")], [Sync()], [Bind("p"), Execute(), Sync()]]);
        yield return ("query behind an error", [[Parse("SELECT 1/0"), Bind(), Execute(), Query("INSERT INTO s.t VALUES (400, 'q')"), Sync()], [Query("SELECT count(*) FROM s.t WHERE id = 400")]]);
        yield return ("query behind an error of names", [[Bind("nothing"), Query("INSERT INTO s.t VALUES (401, 'q')"), Raw('F', [0, 0, 0x03, 0x79, 0, 0, 0, 1, 0, 0, 0, 2, 0x2d, 0x35, 0, 0]), Sync()], [Query("SELECT count(*) FROM s.t WHERE id = 401")]]);
        yield return ("query and function call inside a pipeline of a block", [[Query("BEGIN")], [Parse("DELETE FROM s.t WHERE id = 1"), Bind(), Execute(), Query("SELECT count(*) FROM s.t")], [Sync()], [Parse("DELETE FROM s.t WHERE id = 2"), Bind(), Execute(), Raw('F', [0, 0, 0x03, 0x79, 0, 0, 0, 1, 0, 0, 0, 2, 0x2d, 0x35, 0, 0])], [Sync()], [Query("ROLLBACK")], [Query("SELECT count(*) FROM s.t")]]);
        yield return ("text with everything", [[Query("SELECT 'ä€𝄞', E'\\t', $$x'y$$, U&'\\0041', \"ID\" FROM (SELECT 1 AS \"ID\") q -- end")]]);
    }

    /// <summary>Statements of PREPARE and of Parse have their names in common.</summary>
    internal static IEnumerable<(string Name, byte[][][] Steps)> SharedNames()
    {
        const string Name = "SELECT name FROM s.t WHERE id = $1";
        yield return ("names: EXECUTE of what was parsed", [[Parse(Name, "p", 23), Sync()], [Query("EXECUTE p(3)")], [Query("EXECUTE p(4)")], [Query("EXPLAIN (COSTS OFF) EXECUTE p(5)")], [Query("EXECUTE p")], [Query("EXECUTE p(1/0)")], [Query("PREPARE p AS SELECT 1")], [Bind("p", values: "5"), Execute(), Sync()], [Query("CREATE TABLE s.made AS EXECUTE p(6)")], [Query("SELECT * FROM s.made")], [Query("DEALLOCATE p")], [Query("EXECUTE p(3)")], [Bind("p", values: "5"), Execute(), Sync()]]);
        yield return ("names: parsed anew in a block", [[Parse(Name, "p", 23), Sync()], [Query("BEGIN")], [Query("EXECUTE p(3)")], [CloseStatement("p"), Parse("SELECT $1 + 1 AS a", "p", 23), Sync()], [Query("EXECUTE p(3)")], [Query("SAVEPOINT a")], [Query("DEALLOCATE p")], [Query("EXECUTE p(3)")], [Query("ROLLBACK TO a")], [Query("PREPARE p AS SELECT 'sql' AS b")], [Query("EXECUTE p")], [Bind("p"), DescribePortal(), Execute(), Sync()], [Query("COMMIT")], [Query("EXECUTE p")], [Query("DEALLOCATE p")], [Query("EXECUTE p")], [Query("SELECT 1")]]);
        yield return ("names: the protocol's requests for what SQL has prepared", [[Query("PREPARE \"Q q\"(int) AS SELECT name FROM s.t WHERE id = $1")], [DescribeStatement("Q q"), Sync()], [Bind("Q q", values: "3"), DescribePortal(), Execute(), Sync()], [Parse("SELECT 1", "Q q"), Sync()], [Bind("Q q", values: "x"), Execute(), Sync()], [Query("EXECUTE \"Q q\"(4)")], [Bind("Q q", "c", "5"), Bind("nothing"), Execute("c"), Sync()], [CloseStatement("Q q"), Sync()], [Query("EXECUTE \"Q q\"(4)")], [Bind("Q q", values: "3"), Execute(), Sync()], [Parse("SELECT 1 AS a", "Q q"), Bind("Q q"), Execute(), Sync()]]);
        yield return ("names: PREPARE, then Bind in one pipeline", [[Parse("PREPARE q AS SELECT 7 AS a"), Bind(), Execute(), Bind("q"), DescribePortal(), Execute(), Sync()], [Query("EXECUTE q")], [Query("DEALLOCATE ALL")], [Bind("q"), Sync()]]);
        yield return ("names: EXECUTE by the protocol", [[Parse(Name, "p", 23), Parse("EXECUTE p(3)"), DescribeStatement(), Bind(), DescribePortal(), Execute(), Sync()], [Parse("EXECUTE p(4)", "e"), Sync()], [DescribeStatement("e"), Sync()], [Bind("e"), Execute(), Bind("e"), Execute(), Sync()], [CloseStatement("p"), Bind("e"), Execute(), Sync()], [Parse("SELECT 'new' AS a, $1::int AS b", "p"), Bind("e"), Execute(), Sync()], [Bind("e"), DescribePortal(), Execute(), Sync()]]);
        yield return ("names: DEALLOCATE in a string", [[Parse("SELECT 7 AS a", "p"), Sync()], [Query("SELECT 1; DEALLOCATE p")], [Bind("p"), Execute(), Sync()], [Parse("SELECT 8 AS a", "p"), Bind("p"), Execute(), Sync()], [Query("EXECUTE p; EXECUTE p")], [Query("DEALLOCATE ALL; SELECT 1")], [Bind("p"), Execute(), Sync()], [Query("EXECUTE p")]]);
        yield return ("names: in a failed block", [[Parse("SELECT 7 AS a", "p"), Sync()], [Query("PREPARE q AS SELECT 8 AS a")], [Query("BEGIN")], [Query("SELECT 1/0")], [Query("EXECUTE p")], [Query("DEALLOCATE p")], [Query("DEALLOCATE q")], [Query("DISCARD ALL")], [Query("ROLLBACK")], [Query("EXECUTE p")], [Bind("q"), Execute(), Sync()], [Query("DISCARD ALL")], [Query("EXECUTE p")], [Bind("q"), Sync()]]);
        yield return ("names: what has changed since", [[Query("CREATE TABLE s.late (a int)")], [Parse("SELECT * FROM s.late", "p"), Sync()], [Query("DROP TABLE s.late")], [Query("EXECUTE p")], [Query("SELECT 1")], [Query("CREATE TABLE s.late (a int)")], [Query("EXECUTE p")], [Query("DEALLOCATE p")]]);
        yield return ("names: settings made by what is executed", [[Parse("SELECT set_config('work_mem', '5MB', false)", "p"), Sync()], [Query("EXECUTE p")], [Query("SHOW work_mem")], [Query("PREPARE q AS SELECT set_config('work_mem', '6MB', false)")], [Bind("q"), Execute(), Sync()], [Query("SHOW work_mem")], [Query("DEALLOCATE q")], [Query("SHOW work_mem")], [Query("RESET work_mem")]]);
    }

    /// <summary>A client that takes its time over COPY data is told of an error while it does, as PostgreSQL tells it; what it sends afterwards is ignored.</summary>
    [Test]
    public async Task ASlowCopyHearsOfItsErrorAtOnce([Values] bool throughTheProxy)
    {
        await DirectAsync(0, Reset);
        using var client = throughTheProxy ? await Proxy.LoginAsync() : await DirectLoginAsync(0);
        await client.SendAsync(Query("COPY s.empty FROM STDIN"));
        await client.ReadUntilAsync('G');
        await client.SendAsync(CopyData("1\ta\n"), CopyData("0\tb\n"));
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("23514", 'I')), reply.ToString());
        await client.SendAsync(CopyData("2\tc\n"), CopyDone(), Query("SELECT count(*) FROM s.empty"));
        Assert.That((await client.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo("0"));
        await client.SendAsync(Query("COPY s.empty FROM STDIN"));
        await client.ReadUntilAsync('G');
        await client.SendAsync(CopyData("3\td\n"));
        if (throughTheProxy)
        {
            // The row is the server's already: an error of its constraint would have come.
            await client.SendAsync(CopyData("4\te\n"), CopyDone());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
            Assert.That((await client.QueryAsync("SELECT count(*) FROM s.empty")).Rows[0][0], Is.EqualTo("2"));
        }
    }

    /// <summary>So it is when its server ends meanwhile.</summary>
    [Test]
    public async Task ASlowCopyHearsOfTheEndOfItsServerAtOnce()
    {
        await DirectAsync(0, Reset);
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Query("COPY s.empty FROM STDIN"));
        await client.ReadUntilAsync('G');
        await client.SendAsync(CopyData("1\ta\n"));
        await DirectAsync(0, $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{Database}' AND query LIKE 'COPY s.empty%' AND pid <> pg_backend_pid()");
        var reply = await client.ReadUntilAsync('E');
        Assert.That(reply.SqlState, Is.AnyOf("57P01", "08006", "08007"), reply.ToString());
    }

    /// <summary>The text of an EXECUTE names no table: what it executes is looked at.</summary>
    [Test]
    public async Task AnExecuteIsRoutedByItsStatement()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("SELECT v FROM sharded WHERE id = $1", "p", 23), Parse("SELECT v FROM reference", "r"), Parse("BEGIN", "b"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        foreach (var sql in new[] { "EXECUTE p(1)", "EXPLAIN EXECUTE p(1)", "CREATE TABLE s.wrong AS EXECUTE p(1)", "EXECUTE r; EXECUTE p(1)", "EXECUTE b" })
        {
            var reply = await client.QueryAsync(sql);
            Assert.That(reply.Errors.Single().Field('D'), Is.EqualTo("SHP-210"), $"{sql}\n{reply}");
            reply = await client.ExecuteAsync(sql);
            Assert.That(reply.SqlState, sql.Contains(';', StringComparison.Ordinal) ? Is.EqualTo("42601") : Is.EqualTo("0A000"), $"{sql}\n{reply}");
        }

        Assert.That((await client.QueryAsync("EXECUTE r")).SqlState, Is.Null);
    }

    [TestCaseSource(nameof(Scripts))]
    public async Task TheSameMessagesComeBack(byte[][][] steps)
    {
        await DirectAsync(0, Reset);
        var expected = await PlayAsync(await DirectLoginAsync(0), steps);
        await DirectAsync(0, Reset);
        var actual = await PlayAsync(await Proxy.LoginAsync(), steps);
        AssertSame(actual, expected);

        // Whatever happened, the next client finds a working server.
        using var next = await Proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SELECT 1")).ToString(), Is.EqualTo("T[?column?:23]\nD[1]\nC[SELECT 1]\nZ[I]"));
        Assert.That((await next.QueryAsync("SHOW work_mem")).Rows[0][0], Is.EqualTo("4MB"), "a setting of another client is left");
    }

    [TestCaseSource(nameof(Scripts))]
    public async Task TheSameMessagesComeBackWhileOtherClientsUseTheServers(byte[][][] steps)
    {
        await DirectAsync(0, Reset);
        var expected = await PlayAsync(await DirectLoginAsync(0), steps);
        await DirectAsync(0, Reset);
        using var other = await Proxy.LoginAsync();
        using var client = await Proxy.LoginAsync();

        // With a pool of one, a client in a block or with a pinned server has it for itself: others take turns only between.
        var actual = new List<string[]>();
        foreach (var step in steps)
        {
            actual.Add(await StepAsync(client, step));
            if (actual[^1][^1] == "Z[I]" && Proxy.Plane.Sessions().All(s => !s.IsPinned))
            {
                Assert.That((await other.ExecuteAsync("SELECT name FROM s.t WHERE id = $1", "2")).SqlState, Is.AnyOf(null, "42P01"));
                Assert.That((await other.QueryAsync("SET work_mem = '9MB'")).SqlState, Is.Null);
            }
        }

        AssertSame(actual, expected);
    }

    /// <summary>
    /// A server's errors are passed on whole. Those the proxy makes in PostgreSQL's place have its severity, code and message, but no line of
    /// its source; and a statement has another name on the server than its client gave it.
    /// </summary>
    internal static void AssertSame(List<string[]> actual, List<string[]> expected)
    {
        for (var step = 0; step < expected.Count; step++)
        {
            var wanted = expected[step].Select((m, i) => Named(i < actual[step].Length && actual[step][i] == Shortened(m) ? Shortened(m) : m));
            Assert.That(
                actual[step].Select(Named), Is.EqualTo(wanted),
                $"step {step}, PostgreSQL says:\n{string.Join('\n', expected[step])}\n\nthe proxy says:\n{string.Join('\n', actual[step])}\n");
        }
    }

    private static string Named(string message) => ServerName.Replace(message, "prepared statement \"…\"");

    private static string Shortened(string message) =>
        message.StartsWith("E[", StringComparison.Ordinal) || message.StartsWith("N[", StringComparison.Ordinal)
            ? string.Concat(message[..2], string.Concat(message[2..].Split('\n').Where(f => f.Length > 0 && "SVCM".Contains(f[0], StringComparison.Ordinal)).Select(f => f + "\n")), "\n]")
            : message;

    internal static async Task<List<string[]>> PlayAsync(ScriptedClient client, byte[][][] steps)
    {
        using (client)
        {
            var replies = new List<string[]>();
            foreach (var step in steps)
            {
                replies.Add(await StepAsync(client, step));
            }

            return replies;
        }
    }

    /// <summary>Messages as text; errors with all their fields, one a line; rows as they came.</summary>
    internal static async Task<string[]> StepAsync(ScriptedClient client, byte[][] step)
    {
        if (step.Length > 0)
        {
            await client.SendAsync(step);
        }

        var reply = await client.ReadUntilReadyAsync();
        return InOrder([.. reply.Messages.Select(m => m.Type switch
        {
            'E' or 'N' => $"{m.Type}[{Encoding.UTF8.GetString(m.Body).Replace('\0', '\n')}]",
            'T' => $"T[{string.Join(',', m.Columns())}]",
            'D' => $"D[{(m.Body.Length > 200 ? Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(m.Body)) : Encoding.UTF8.GetString(m.Body))}]",
            _ => m.Describe(),
        })]);
    }

    // Several parameters that one statement changes are reported in the order of a list that depends on what the server has done before.
    private static string[] InOrder(string[] messages)
    {
        for (int start = 0, end; start < messages.Length; start = end + 1)
        {
            for (end = start; end < messages.Length && messages[end].StartsWith("S[", StringComparison.Ordinal); end++)
            {
            }

            Array.Sort(messages, start, end - start, StringComparer.Ordinal);
        }

        return messages;
    }
}
