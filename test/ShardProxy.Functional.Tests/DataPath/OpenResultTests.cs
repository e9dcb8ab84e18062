using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects results over several nodes that the client takes in pieces: portals with row limits and SQL cursors give what one PostgreSQL with all the rows
/// gives, message by message, whatever else the transaction does; and no server is kept once they are over.
/// </summary>
[TestFixture]
internal sealed class OpenResultTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("items", "id int4, v text", "id");

    protected override string Ddl => "CREATE TABLE items (id int PRIMARY KEY, v text);";

    protected override string HomeDdl => "CREATE SCHEMA twin; CREATE TABLE twin.items (id int PRIMARY KEY, v text); CREATE TABLE plain (id int); INSERT INTO plain SELECT generate_series(1, 3);";

    [OneTimeSetUp]
    public async Task FillAsync()
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var client in new[] { proxy, direct })
        {
            for (var i = 1; i <= 40; i++)
            {
                Assert.That((await client.QueryAsync($"INSERT INTO items VALUES ({i}, 'v{i}')")).Errors, Is.Empty);
            }
        }
    }

    private const string Ordered = "SELECT id, v FROM items ORDER BY id";

    // A batch of messages is sent at once, and read up to its ReadyForQuery.
    private static IEnumerable<TestCaseData> Conversations()
    {
        byte[] begin = Query("BEGIN"), commit = Query("COMMIT");
        byte[] open = [.. Parse(Ordered), .. Bind(portal: "p"), .. DescribePortal("p")];
        (string Name, byte[][] Batches)[] cases =
        [
            ("a limit outside a block", [[.. Parse(Ordered), .. Bind(), .. DescribePortal(), .. Execute("", 5), .. Sync()]]),
            ("a limit above the rows", [[.. Parse(Ordered), .. Bind(), .. Execute("", 100), .. Sync()]]),
            ("twice outside a block", [[.. Parse(Ordered), .. Bind(), .. Execute("", 5), .. Execute("", 7), .. Execute(), .. Execute(), .. Sync()], [.. Execute(), .. Sync()]]),
            ("piece by piece in a block", [begin, [.. open, .. Execute("p", 15), .. Sync()], [.. Execute("p", 15), .. Sync()], [.. Execute("p", 15), .. Sync()], [.. Execute("p", 15), .. Sync()], [.. ClosePortal("p"), .. Sync()], commit]),
            ("others between", [begin, [.. open, .. Execute("p", 3), .. Sync()], Query("SELECT count(*) FROM items"), Query("SELECT v FROM items WHERE id = 7"), Query("DELETE FROM items WHERE id = 5"),
                [.. Execute("p", 3), .. Parse("SELECT id FROM plain ORDER BY id"), .. Bind(), .. Execute(), .. Execute("p", 2), .. Sync()], Query("ROLLBACK"), [.. Execute("p", 3), .. Sync()]]),
            ("bound anew", [begin, [.. Parse("SELECT id FROM items WHERE id > $1 ORDER BY id"), .. Bind(values: ["30"]), .. Execute("", 2), .. Bind(values: ["10"]), .. Execute("", 2), .. Sync()], commit]),
            ("closed at once", [begin, [.. open, .. Execute("p", 3), .. ClosePortal("p"), .. Execute("p", 3), .. Sync()], commit]),
            ("an error in it", [begin, [.. Parse("SELECT 10 / (20 - id) FROM (SELECT id FROM items ORDER BY id OFFSET 0) s"), .. Bind(portal: "p"), .. Execute("p", 18), .. Sync()], [.. Execute("p", 18), .. Sync()], [.. Execute("p", 18), .. Sync()], commit, Query("SELECT 1")]),
            ("an error outside a block", [[.. Parse("SELECT 10 / (20 - id) FROM (SELECT id FROM items ORDER BY id OFFSET 0) s"), .. Bind(), .. Execute("", 100), .. Execute("", 2), .. Sync()], Query("SELECT 2")]),
            ("binary", [begin, [.. Parse("SELECT id FROM items ORDER BY id"), .. Bind("", "p", [], [], [1]), .. DescribePortal("p"), .. Execute("p", 3), .. Sync()], [.. Execute("p", 3), .. Sync()], commit]),
            ("an aggregate", [begin, [.. Parse("SELECT count(*) FROM items"), .. Bind(portal: "p"), .. Execute("p", 1), .. Sync()], [.. Execute("p", 1), .. Sync()], [.. Bind(portal: "q"), .. Execute("q", 2), .. Sync()], commit]),
            ("a savepoint", [begin, Query("SAVEPOINT a"), [.. open, .. Execute("p", 3), .. Sync()], Query("SAVEPOINT b"), Query("ROLLBACK TO b"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK TO a"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK")]),
            ("a cursor", [begin, Query("DECLARE c CURSOR FOR SELECT id, v FROM items ORDER BY id"), Query("FETCH 3 FROM c"), Query("FETCH NEXT c"), Query("MOVE 5 IN c"), Query("SELECT count(*) FROM items"),
                Query("INSERT INTO items VALUES (100, 'new')"), Query("FETCH FORWARD 2 FROM c"), Query("FETCH ALL FROM c"), Query("FETCH c"), Query("CLOSE c"), Query("FETCH c"), Query("ROLLBACK"), Query("FETCH c")]),
            ("a scrolling cursor", [begin, Query("DECLARE \"My cursor\" SCROLL CURSOR WITHOUT HOLD FOR SELECT id FROM items WHERE v > 'v2' ORDER BY v"), Query("FETCH LAST \"My cursor\""), Query("FETCH BACKWARD 3 \"My cursor\""),
                Query("FETCH ABSOLUTE 2 FROM \"My cursor\""), Query("FETCH RELATIVE -1 FROM \"My cursor\""), Query("MOVE FIRST IN \"My cursor\""), Query("FETCH PRIOR \"My cursor\""), commit, Query("FETCH \"My cursor\"")]),
            ("a cursor of the extended protocol", [begin, [.. Parse("DECLARE c BINARY CURSOR FOR SELECT id, v FROM items WHERE id > $1 ORDER BY id"), .. Bind(values: ["35"]), .. DescribePortal(), .. Execute(), .. Sync()],
                [.. DescribePortal("c"), .. Sync()], [.. Parse("FETCH 2 FROM c", "f"), .. DescribeStatement("f"), .. Bind("f"), .. DescribePortal(), .. Execute(), .. Bind("f"), .. Execute(), .. Sync()],
                [.. Parse("SELECT id FROM plain ORDER BY id"), .. Bind(), .. Execute(), .. Bind("f"), .. Execute(), .. Sync()], [.. Execute("c", 1), .. Sync()], [.. ClosePortal("c"), .. Sync()], [.. Bind("f"), .. Execute(), .. Sync()], Query("ROLLBACK")]),
            ("two cursors and their end", [begin, Query("DECLARE a CURSOR FOR SELECT id FROM items ORDER BY id"), Query("DECLARE b CURSOR FOR SELECT id FROM items ORDER BY id DESC"), Query("FETCH a"), Query("FETCH b"), Query("FETCH a"),
                Query("CLOSE ALL"), Query("SAVEPOINT s"), Query("FETCH a"), Query("ROLLBACK TO s"), Query("DECLARE a CURSOR FOR SELECT id FROM items ORDER BY id"), Query("FETCH a"), Query("ROLLBACK TO s"), Query("FETCH a"), commit]),
            ("an error of a cursor", [begin, Query("DECLARE c CURSOR FOR SELECT 10 / (20 - id) FROM (SELECT id FROM items ORDER BY id OFFSET 0) s"), Query("FETCH 18 FROM c"), Query("FETCH 18 FROM c"), Query("FETCH 1 FROM c"), commit, Query("SELECT 1")]),
            ("a cursor outside a block", [Query("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id"), Query("SELECT 1")]),
            ("a cursor on nothing", [begin, Query("DECLARE c CURSOR FOR SELECT nope FROM items"), commit]),
            ("copy of a query", [Query("COPY (SELECT id, v FROM items WHERE id < 30 ORDER BY id DESC) TO STDOUT"), Query("COPY (SELECT v, count(*) FROM items GROUP BY v ORDER BY v) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE (v))"),
                Query("COPY (SELECT id FROM items ORDER BY id) TO STDOUT (FORMAT binary)"), Query("COPY (SELECT 1 / (id - 40) FROM (SELECT id FROM items ORDER BY id OFFSET 0) s) TO STDOUT"), begin, Query("DELETE FROM items WHERE id = 7"),
                Query("COPY ((SELECT id FROM items ORDER BY id)) TO STDOUT"), Query("ROLLBACK"), [.. Parse("COPY (SELECT id FROM items ORDER BY id) TO STDOUT"), .. Bind(), .. DescribePortal(), .. Execute(), .. Sync()]]),
            ("a released savepoint", [begin, Query("SAVEPOINT a"), Query("SAVEPOINT b"), [.. open, .. Execute("p", 3), .. Sync()], Query("RELEASE b"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK TO a"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK")]),
        ];
        return cases.Select(c => new TestCaseData(c.Batches, 0).SetArgDisplayNames(c.Name));
    }

    [TestCaseSource(nameof(Conversations))]
    public async Task TheSameMessagesComeBack(byte[][] batches, int _)
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var batch in batches)
        {
            Assert.That(await TalkAsync(proxy, batch), Is.EqualTo(await TalkAsync(direct, batch)));
        }

        Assert.That(Proxy.Plane.Sessions().Select(s => s.Nodes), Is.All.Empty, "a server is kept");
    }

    [Test]
    public async Task ACursorOfThatNameIsOpen()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var (first, second) in new[] { ("FROM items", "FROM items"), ("FROM items", "FROM plain"), ("FROM plain", "FROM items") })
        {
            await client.QueryAsync("BEGIN");
            Assert.That((await client.QueryAsync($"DECLARE c CURSOR FOR SELECT id {first}")).Errors, Is.Empty);
            Assert.That((await client.QueryAsync($"DECLARE c CURSOR FOR SELECT id {second}")).SqlState, Is.EqualTo("42P03"));
            await client.QueryAsync("ROLLBACK");
        }
    }

    [Test]
    public async Task TheirNumberIsBounded()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        for (var i = 0; i < 8; i++)
        {
            Assert.That((await client.QueryAsync($"DECLARE c{i} CURSOR FOR SELECT id FROM items")).Errors, Is.Empty);
        }

        await client.QueryAsync("CLOSE c3");
        Assert.That((await client.QueryAsync("DECLARE c8 CURSOR FOR SELECT id FROM items")).Errors, Is.Empty);
        Assert.That((await client.QueryAsync("DECLARE c9 CURSOR FOR SELECT id FROM items")).Errors.Single().Field('D'), Is.EqualTo("SHP-115"));
        await client.QueryAsync("ROLLBACK");
    }

    [Test]
    public async Task ExplainShowsEveryNodesPlan([Values("", "ANALYZE ", "(ANALYZE, COSTS OFF) ", "(FORMAT text) ")] string options, [Values(false, true)] bool inBlock)
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync(inBlock ? "BEGIN" : "SELECT 1");
        foreach (var query in new[] { "(SELECT id FROM items ORDER BY v)", "SELECT v, count(*) FROM items GROUP BY v", "SELECT count(*) FROM items", "SELECT * FROM items" })
        {
            foreach (var reply in new[] { await client.QueryAsync($"EXPLAIN {options}{query}"), await client.ExecuteAsync($"EXPLAIN {options}{query}") })
            {
                Assert.That(reply.Errors, Is.Empty, reply.ToString());
                var plan = string.Join('\n', reply.Rows.Select(r => r.Single()));
                Assert.That(reply.Columns, Is.EqualTo(new[] { ("QUERY PLAN", 25u) }));
                Assert.That(plan, Does.StartWith("ShardProxy: ").And.Contain("from node1").And.Contain("from node2").And.Contain("Seq Scan on items"));
                Assert.That(plan.Contains("actual time", StringComparison.Ordinal), Is.EqualTo(options.Contains("ANALYZE", StringComparison.Ordinal)), plan);
                await TestContext.Out.WriteLineAsync(plan);
            }
        }

        Assert.That((await client.QueryAsync("EXPLAIN (FORMAT json) SELECT * FROM items")).SqlState, Is.EqualTo("0A000"));
    }

    [TestCase("COPY items TO STDOUT")]
    [TestCase("COPY items (v, id) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';')")]
    [TestCase("COPY public.items (\"id\") TO STDOUT WITH (HEADER)")]
    [TestCase("copy items to stdout csv header")]
    [TestCase("COPY items (nope) TO STDOUT")]
    [TestCase("COPY items TO STDOUT (FORMAT nope)")]
    public async Task ATableIsCopied(string sql)
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var block in new[] { "SELECT 1", "BEGIN; DELETE FROM items WHERE id = 9" })
        {
            foreach (var client in new[] { proxy, direct })
            {
                foreach (var statement in block.Split(';'))
                {
                    await client.QueryAsync(statement);
                }
            }

            Assert.That(Sorted(await proxy.QueryAsync(sql)), Is.EqualTo(Sorted(await direct.QueryAsync(sql.Replace("public.", "twin.", StringComparison.Ordinal)))));
        }

        static string Sorted(Transcript reply) => string.Join(
            '\n', reply.Errors.Select(e => e.Field('C')!).Concat(reply.Messages.Where(m => m.Type is 'd' or 'H' or 'C' or 'Z').Select(m => $"{m.Type} {Convert.ToHexString(m.Body)}").Order(StringComparer.Ordinal)));
    }

    private static async Task<string> TalkAsync(ScriptedClient client, byte[] batch)
    {
        await client.SendAsync(batch);
        var reply = await client.ReadUntilReadyAsync();
        return string.Join('\n', reply.Messages.Select(m => m.Type switch
        {
            'E' => $"E {m.Field('C')} {m.Field('M')}",
            'T' => "T " + string.Join(", ", reply.Columns),
            _ => $"{m.Type} {Convert.ToHexString(m.Body)}",
        }));
    }

    private async Task<ScriptedClient> TwinAsync() => await DirectLoginAsync(0, ("search_path", "twin, public"));
}
