using NUnit.Framework;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects pipelines of a transaction whose statements lie on several nodes: whatever fails in their middle, the client is told what one
/// PostgreSQL would tell it, and nothing behind the error is carried out. Npgsql, pgx and JDBC send their batches so.
/// </summary>
internal sealed class SpreadPipelineTests : DataPathFixture
{
    private const int Rows = 40;

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int8, v text", "id");

    protected override string Ddl => "CREATE TABLE a (id bigint PRIMARY KEY, v text);";

    protected override string HomeDdl => "CREATE TABLE plain (id bigint PRIMARY KEY, v text);";

    [OneTimeSetUp]
    public async Task FillAsync()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var table in new[] { "a", "plain" })
        {
            for (var id = 0; id < Rows; id++)
            {
                Assert.That((await client.QueryAsync($"INSERT INTO {table} VALUES ({id}, 'v')")).SqlState, Is.Null);
            }
        }
    }

    [Test]
    public async Task NothingBehindAnErrorIsAnsweredOrDoneOnAnotherNode()
    {
        using var client = await Proxy.LoginAsync();
        for (var other = 1; other < 20; other++)
        {
            await client.QueryAsync("BEGIN");
            await client.SendAsync(
                Parse("INSERT INTO a VALUES ($1, 'twice')"), Bind(values: "0"), DescribePortal(), Execute(),
                Parse("UPDATE a SET v = 'changed' WHERE id = $1"), Bind(values: $"{other}"), DescribePortal(), Execute(), Sync());
            var reply = await client.ReadUntilReadyAsync();
            Assert.That((reply.Types, reply.SqlState), Is.EqualTo(("12nEZ", "23505")), reply.ToString());
            Assert.That((await client.QueryAsync("ROLLBACK")).SqlState, Is.Null);
        }
    }

    /// <summary>The same random pipelines on a table of one node and on one that is spread.</summary>
    [Test]
    public async Task PipelinesOfABlockAreAnsweredAsOnOneNode()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var spread = await Proxy.LoginAsync();
        using var whole = await Proxy.LoginAsync();
        for (var round = 0; round < 150; round++)
        {
            await spread.QueryAsync("BEGIN");
            await whole.QueryAsync("BEGIN");
            for (var part = random.Next(1, 4); part > 0; part--)
            {
                var messages = Enumerable.Range(0, random.Next(1, 7)).SelectMany(i => Request(random, i)).Append(new Step("Sync", _ => Sync())).ToList();
                var what = $"seed {seed}, round {round}: {string.Join(", ", messages.Select(m => m.Name))}";
                await whole.SendAsync([.. messages.Select(m => m.Message("plain"))]);
                await spread.SendAsync([.. messages.Select(m => m.Message("a"))]);
                var expected = await whole.ReadUntilReadyAsync();
                var actual = await spread.ReadUntilReadyAsync();
                Assert.That((actual.Types, actual.SqlState), Is.EqualTo((expected.Types, expected.SqlState)), $"{what}\n{actual}\ninstead of\n{expected}");
                Assert.That(actual.Rows, Is.EqualTo(expected.Rows), what);
            }

            await spread.QueryAsync("ROLLBACK");
            await whole.QueryAsync("ROLLBACK");
            foreach (var client in new[] { spread, whole })
            {
                await client.SendAsync([.. Enumerable.Range(0, 7).Select(i => CloseStatement($"s{i}")), Sync()]);
                await client.ReadUntilReadyAsync();
            }
        }
    }

    /// <summary>Outside a block a pipeline is one transaction to its Sync, on whatever nodes its statements lie, and whatever fails in its middle.</summary>
    [Test]
    public async Task PipelinesOutsideABlockAreOneTransactionOverTheNodes()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var spread = await Proxy.LoginAsync();
        using var whole = await Proxy.LoginAsync();
        for (var round = 0; round < 150; round++)
        {
            var messages = Enumerable.Range(0, random.Next(1, 7)).SelectMany(i => Request(random, i, inBlock: false)).Append(new Step("Sync", _ => Sync())).ToList();
            var what = $"seed {seed}, round {round}: {string.Join(", ", messages.Select(m => m.Name))}";
            await whole.SendAsync([.. messages.Select(m => m.Message("plain"))]);
            await spread.SendAsync([.. messages.Select(m => m.Message("a"))]);
            var expected = await whole.ReadUntilReadyAsync();
            var actual = await spread.ReadUntilReadyAsync();
            Assert.That((actual.Types, actual.SqlState), Is.EqualTo((expected.Types, expected.SqlState)), $"{what}\n{actual}\ninstead of\n{expected}");
            Assert.That(actual.Rows, Is.EqualTo(expected.Rows), what);
            var rows = (await spread.QueryAsync("SELECT id, v FROM a ORDER BY id")).Rows;
            Assert.That(rows, Is.EqualTo((await whole.QueryAsync("SELECT id, v FROM plain ORDER BY id")).Rows), what);
            foreach (var client in new[] { spread, whole })
            {
                await client.SendAsync([.. Enumerable.Range(0, 7).Select(i => CloseStatement($"s{i}")), Sync()]);
                await client.ReadUntilReadyAsync();
            }
        }

        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")).SelectMany(c => c), Is.All.EqualTo("0"));
    }

    private static IEnumerable<Step> Request(Random random, int number, bool inBlock = true)
    {
        var id = random.Next(0, Rows + (Rows / 2));
        var (verb, text) = random.Next(inBlock ? 6 : 8) switch
        {
            (3 or 4) and var i when !inBlock => i == 3 ? ("delete", "DELETE FROM {0} WHERE id = $1") : ("update all", "UPDATE {0} SET v = v || $1 WHERE id % 10 = 3"),
            6 => ("insert many", "INSERT INTO {0} SELECT g + $1, 'many' FROM generate_series(1, 5) g"),
            7 => ("count", "SELECT count(*), max(v) FROM {0} WHERE id <> $1"),
            0 => ("insert", "INSERT INTO {0} VALUES ($1, 'new')"),
            1 => ("update", "UPDATE {0} SET v = v || 'x' WHERE id = $1 RETURNING v"),
            2 => ("divide", "SELECT 1 / (id - $1) FROM {0} WHERE id = $1"),
            3 => ("savepoint", "SAVEPOINT here"),
            4 => ("set", "SET work_mem = '5MB'"),
            _ => ("select", "SELECT v FROM {0} WHERE id = $1"),
        };
        var hasKey = verb is not ("savepoint" or "set");
        var name = random.Next(2) == 0 ? $"s{number}" : "";
        yield return new Step($"{verb} {id} {name}", table => Parse(string.Format(null, text, table), name));
        if (random.Next(3) == 0)
        {
            yield return new Step("Describe S", _ => DescribeStatement(name));
        }

        yield return new Step("Bind", _ => hasKey ? Bind(name, values: $"{id}") : Bind(name));
        if (random.Next(2) == 0)
        {
            yield return new Step("Describe P", _ => DescribePortal());
        }

        yield return new Step("Execute", _ => Execute());
        if (random.Next(6) == 0)
        {
            yield return new Step("Flush", _ => Flush());
        }
    }

    private sealed record Step(string Name, Func<string, byte[]> Message);
}
