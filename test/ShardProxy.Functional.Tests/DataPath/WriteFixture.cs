using NUnit.Framework;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Sharded tables and a plain twin of each, both filled alike before every test: what is written through the proxy must leave the rows of all nodes
/// together equal to the twin's, each on its owner.
/// </summary>
internal abstract class WriteFixture : DataPathFixture
{
    private const string Twin = "twin";

    private static readonly string[] Names = ["item", "part", "city", "stamp"];

    protected override Placement Tables { get; } = new Placement()
        .Sharded("item", "id int4, name text, city text, price numeric, changed timestamptz", "id")
        .Sharded("part", "item_id int4, no int4, label text", "item_id")
        .Sharded("stamp", "a int8, b text, n int4, at timestamptz", "a", "b")
        .Replicated("city", "name text, country text, people int4");

    protected override string Ddl => Schema("public");

    protected override string HomeDdl => $"CREATE SCHEMA {Twin}; {Schema(Twin)} CREATE TABLE plain (id int PRIMARY KEY, v text); CREATE TABLE {Twin}.plain (LIKE plain INCLUDING ALL);";

    private static string Schema(string schema) => $"""
        CREATE TABLE {schema}.item (id int PRIMARY KEY, name text DEFAULT 'none', city text, price numeric(12,2) CHECK (price < 10000), changed timestamptz);
        CREATE TABLE {schema}.part (item_id int NOT NULL, no int NOT NULL, label text, PRIMARY KEY (item_id, no));
        CREATE TABLE {schema}.stamp (a bigint NOT NULL, b text NOT NULL, n int, at timestamptz, PRIMARY KEY (a, b));
        CREATE TABLE {schema}.city (name text PRIMARY KEY, country text, people int);
        """;

    [SetUp]
    public async Task FillAsync()
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var client in new[] { proxy, direct })
        {
            await Must(client, $"TRUNCATE {string.Join(", ", Names)}");
            await Must(client, "TRUNCATE plain");
            await Must(client, "INSERT INTO plain SELECT i, 'v' || i FROM generate_series(1, 5) i");
            await Must(client, "INSERT INTO city VALUES ('Rome', 'IT', 3), ('Oslo', 'NO', 1), ('Bern', 'CH', NULL), ('Lima', 'PE', 10)");
            var numbers = Enumerable.Range(1, 24).ToList();
            await Must(client, $"INSERT INTO item VALUES {string.Join(", ", numbers.Select(i => $"({i}, 'n{i % 5}', {(i % 6 == 0 ? "NULL" : $"'{(i % 2 == 0 ? "Rome" : "Oslo")}'")}, {i}.50, '2024-01-01 00:00+00')"))}");
            await Must(client, $"INSERT INTO stamp VALUES {string.Join(", ", numbers.Select(i => $"({i % 7}, 'b{i}', {i}, NULL)"))}");
            await Must(client, $"INSERT INTO part VALUES {string.Join(", ", numbers.SelectMany(i => Enumerable.Range(0, i % 3).Select(no => $"({i}, {no}, 'p{no}')")))}");
        }
    }

    protected Task<ScriptedClient> TwinAsync() => DirectLoginAsync(0, ("search_path", $"{Twin}, public"));

    /// <summary>Runs a statement on both sides, by one protocol and then the other, outside a block and in one that is committed or rolled back.</summary>
    protected async Task SameAsync(string sql, params string?[] values)
    {
        foreach (var (isExtended, block) in new[] { (false, ""), (true, ""), (false, "COMMIT"), (true, "ROLLBACK") })
        {
            if (!isExtended && values.Length > 0)
            {
                continue;
            }

            await FillAsync();
            using var proxy = await Proxy.LoginAsync();
            using var direct = await TwinAsync();
            var replies = new List<string>();
            foreach (var client in new[] { proxy, direct })
            {
                if (block.Length > 0)
                {
                    await Must(client, "BEGIN");
                    await Must(client, "UPDATE item SET price = 77 WHERE id = 3");
                }

                var text = client == direct ? sql.Replace("public.", Twin + ".", StringComparison.Ordinal) : sql;
                replies.Add(Describe(isExtended ? await client.ExecuteAsync(text, values) : await client.QueryAsync(text), sql));
                if (block.Length > 0)
                {
                    await client.QueryAsync(block);
                }
            }

            var how = $"{sql} {(isExtended ? "extended" : "simple")} {block}";
            Assert.That(replies[0], Is.EqualTo(replies[1]), how);
            await SameRowsAsync(how);
        }
    }

    /// <summary>The rows of all nodes together are the twin's, and every row lies on its owner.</summary>
    protected async Task SameRowsAsync(string how)
    {
        var table = Proxy.Plane.Current;
        var expected = await DirectAsync(0, All(Twin, (_, _) => "true"));
        var found = new List<string>();
        foreach (var node in table.Nodes)
        {
            var rows = await DirectAsync(node.Id - 1, All("public", (placed, name) => placed.Placement == TablePlacement.Sharded ? Router.OwnedPredicate(table, placed, node.Id, name) : "true"));
            Assert.That(rows.Where(r => !r.StartsWith("t|", StringComparison.Ordinal)), Is.Empty, $"on {node.Name}: {how}");
            Assert.That(rows.Where(IsReplicated).Order(StringComparer.Ordinal), Is.EqualTo(expected.Where(IsReplicated).Order(StringComparer.Ordinal)), $"on {node.Name}: {how}");
            found.AddRange(rows.Where(r => !IsReplicated(r)));
        }

        Assert.That(await DirectAsync(0, "SELECT r::text FROM public.plain r ORDER BY id"), Is.EqualTo(await DirectAsync(0, $"SELECT r::text FROM {Twin}.plain r ORDER BY id")), how);
        Assert.That(found.Order(StringComparer.Ordinal), Is.EqualTo(expected.Where(r => !IsReplicated(r)).Order(StringComparer.Ordinal)), how);
        Assert.That(await DirectAsync(0, $"SELECT gid FROM pg_prepared_xacts WHERE database = '{Database}'"), Is.Empty, how);

        string All(string schema, Func<PlacedTable, string, string> isRight) => string.Join(
            " UNION ALL ", table.Tables.Select(t => $"SELECT {isRight(t, "r")}, '{t.Name.Name}', r::text FROM {schema}.{t.Name.Name} r"));

        bool IsReplicated(string row) => table.Tables.Any(t => t.Placement == TablePlacement.Replicated && row.Split('|')[1] == t.Name.Name);
    }

    protected static async Task Must(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, sql + reply);
    }

    // An INSERT gives its rows in the order of its VALUES, for the rest there is no order.
    protected static string Describe(Transcript reply, string sql)
    {
        if (reply.Errors.Count > 0)
        {
            return $"{reply.SqlState} {reply.Errors[0].Field('M')} {reply.Errors[0].Field('D')}";
        }

        var rows = reply.Rows.Select(r => string.Join(" | ", r.Select(v => v ?? "NULL")));
        var isOrdered = sql.Contains("VALUES", StringComparison.Ordinal) && !sql.Contains("CONFLICT", StringComparison.Ordinal);
        return $"{string.Join(", ", reply.Columns)}\n{string.Join('\n', isOrdered ? rows : rows.Order(StringComparer.Ordinal))}\n{string.Join(' ', reply.Tags)} {reply.Status}";
    }
}
