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
            ("twice outside a block", [[.. Parse(Ordered), .. Bind(), .. Execute("", 5), .. Execute("", 7), .. Execute(), .. Execute(), .. Sync(),], [.. Execute(), .. Sync()]]),
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
            ("a released savepoint", [begin, Query("SAVEPOINT a"), Query("SAVEPOINT b"), [.. open, .. Execute("p", 3), .. Sync()], Query("RELEASE b"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK TO a"), [.. Execute("p", 3), .. Sync()], Query("ROLLBACK")]),
        ];
        return cases.Select(c => new TestCaseData(c.Batches, true).SetArgDisplayNames(c.Name));
    }

    [TestCaseSource(nameof(Conversations))]
    public async Task TheSameMessagesComeBack(byte[][] batches, bool _)
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var batch in batches)
        {
            Assert.That(await TalkAsync(proxy, batch), Is.EqualTo(await TalkAsync(direct, batch)));
        }

        Assert.That(Proxy.Plane.Sessions().Select(s => s.Nodes), Is.All.Empty, "a server is kept");
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
