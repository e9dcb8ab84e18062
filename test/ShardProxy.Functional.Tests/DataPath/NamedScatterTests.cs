using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects named statements whose rows come from several nodes as they are: each node keeps them prepared, and a portal is described as it is run. Message by
/// message that is what one PostgreSQL with all the rows says, also when the portal is not what runs next, and when the table has changed since.
/// </summary>
[TestFixture]
internal sealed class NamedScatterTests : DataPathFixture
{
    private const string Some = "SELECT id, v FROM items WHERE id IN ($1, $2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)";
    private const string All = "SELECT * FROM items WHERE v <> $1";

    protected override Placement Tables { get; } = new Placement().Sharded("items", "id int4, v text", "id");

    protected override string Ddl => "CREATE TABLE items (id int PRIMARY KEY, v text);";

    protected override string HomeDdl => "CREATE SCHEMA twin; CREATE TABLE twin.items (id int PRIMARY KEY, v text);";

    [OneTimeSetUp]
    public async Task FillAsync()
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        foreach (var client in new[] { proxy, direct })
        {
            for (var i = 1; i <= 30; i++)
            {
                Assert.That((await client.QueryAsync($"INSERT INTO items VALUES ({i}, 'v{i}')")).Errors, Is.Empty);
            }
        }
    }

    // A batch of messages is sent at once, and read up to its ReadyForQuery.
    private static IEnumerable<TestCaseData> Conversations()
    {
        byte[] begin = Query("BEGIN"), commit = Query("COMMIT");
        byte[] run = [.. Bind("s", "", "1", "2"), .. DescribePortal(), .. Execute(), .. Sync()];
        (string Name, byte[][] Batches)[] cases =
        [
            ("again and again", [[.. Parse(Some, "s"), .. Sync()], run, run, begin, run, run, commit, run]),
            ("parsed and run at once", [[.. Parse(Some, "s"), .. run]]),
            ("described as a statement", [[.. Parse(Some, "s"), .. DescribeStatement("s"), .. Sync()], run]),
            ("not described", [[.. Parse(Some, "s"), .. Sync()], [.. Bind("s", "", "1", "2"), .. Execute(), .. Sync()]]),
            ("binary results", [[.. Parse(Some, "s"), .. Sync()], [.. Bind("s", "", [], ["1"u8.ToArray(), "2"u8.ToArray()], [1, 0]), .. DescribePortal(), .. Execute(), .. Sync()]]),
            ("described, then another runs", [begin, [.. Parse(Some, "s"), .. Parse("SELECT id FROM items WHERE id = 7", "t"), .. Bind("s", "p", "1", "2"), .. DescribePortal("p"), .. Bind("t", "q"), .. Execute("q"), .. Execute("p"), .. Sync()], commit]),
            ("two described", [begin, [.. Parse(Some, "s"), .. Bind("s", "p", "1", "2"), .. Bind("s", "pq", "3", "4"), .. DescribePortal("p"), .. Execute("pq"), .. Execute("p"), .. Sync()], commit]),
            ("described, then flushed", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. Flush(), .. Execute(), .. Sync()]]),
            ("described, then closed", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. ClosePortal(""), .. Execute(), .. Sync()], run]),
            ("described and never run", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. Sync()], run]),
            ("twice described", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. DescribePortal(), .. Execute(), .. Sync()]]),
            ("with a limit", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. Execute("", 100), .. Sync()], run]),
            ("run to its end", [[.. Parse(Some, "s"), .. Bind("s", "", "1", "2"), .. DescribePortal(), .. Execute(), .. Execute(), .. Sync()]]),
            ("a value that is none", [[.. Parse("SELECT id FROM items WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 9) AND v > $1 AND id > $2", "s", 25, 23), .. Sync()], [.. Bind("s", "", "v", "x"), .. DescribePortal(), .. Execute(), .. Sync()], [.. Bind("s", "", "v", "1"), .. DescribePortal(), .. Execute(), .. Sync()]]),
            ("a changed table", [[.. Parse(All, "s"), .. Sync()], [.. Bind("s", "", "x"), .. DescribePortal(), .. Execute(), .. Sync()], Query("ALTER TABLE items ADD COLUMN w int"), [.. Bind("s", "", "x"), .. Execute(), .. Sync()],
                [.. CloseStatement("s"), .. Parse(All, "s"), .. Bind("s", "", "x"), .. DescribePortal(), .. Execute(), .. Sync()], Query("ALTER TABLE items DROP COLUMN w"), [.. Parse(All, "t"), .. Bind("t", "", "x"), .. DescribePortal(), .. Execute(), .. Sync()]]),
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

    // Rows of several nodes come in no order.
    private static async Task<List<string>> TalkAsync(ScriptedClient client, byte[] batch)
    {
        await client.SendAsync(batch);
        var lines = new List<string>();
        foreach (var message in (await client.ReadUntilReadyAsync()).Messages)
        {
            lines.Add(message.Type switch
            {
                'T' => "T " + string.Join(", ", message.Columns()),
                'E' => $"E {message.Field('C')} {message.Field('M')}",
                'D' => "D " + string.Join('|', message.Values().Select(v => v is null ? "NULL" : Convert.ToHexString(v))),
                'C' or 'Z' => message.Type + Convert.ToHexString(message.Body),
                _ => message.Type.ToString(),
            });
        }

        if (lines.Exists(l => l[0] == 'E'))
        {
            // The proxy takes a Bind for several nodes before they have seen its values.
            lines.RemoveAll(l => l == "2");
        }

        for (var from = lines.FindIndex(l => l[0] == 'D'); from >= 0 && from < lines.Count;)
        {
            var to = lines.FindIndex(from, l => l[0] != 'D');
            to = to < 0 ? lines.Count : to;
            lines.Sort(from, to - from, StringComparer.Ordinal);
            from = to < lines.Count ? lines.FindIndex(to, l => l[0] == 'D') : -1;
        }

        return lines;
    }

    private Task<ScriptedClient> TwinAsync() => DirectLoginAsync(0, ("search_path", "twin"));
}
