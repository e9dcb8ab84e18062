using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects CREATE TABLE … AS a SELECT over several nodes: the new table has the columns, types and rows that one PostgreSQL gives it.</summary>
[TestFixture]
internal sealed class CreateAsTests : WriteFixture
{
    [TestCase("CREATE TABLE made AS SELECT * FROM item")]
    [TestCase("CREATE TABLE made AS SELECT name, count(*) AS n, avg(price), max(changed) AS last FROM item GROUP BY name;")]
    [TestCase("CREATE TABLE made (a, b) AS SELECT id, E'x\\\\\n\t' || coalesce(city, 'as') FROM item WHERE id IN (1, 2, 3, 4, 5, 6) WITH DATA")]
    [TestCase("CREATE UNLOGGED TABLE IF NOT EXISTS made AS SELECT i.id, p.label FROM item i LEFT JOIN part p ON p.item_id = i.id AND p.no = i.id % 2")]
    [TestCase("CREATE TABLE made WITH (fillfactor = 70) AS SELECT id FROM item WHERE id = 5")]
    [TestCase("CREATE TEMP TABLE made AS SELECT id, row_number() OVER (ORDER BY id) FROM item")]
    [TestCase("CREATE TEMPORARY TABLE made ON COMMIT PRESERVE ROWS AS WITH w AS (SELECT * FROM stamp) SELECT a, b FROM w")]
    [TestCase("CREATE TABLE made AS SELECT 1 / (id - 5) FROM item")]
    [TestCase("CREATE TABLE made AS SELECT nothing FROM item")]
    [TestCase("CREATE TABLE made AS SELECT id FROM item WHERE false")]
    public async Task IsWhatOnePostgresDoes(string sql)
    {
        foreach (var (isExtended, block) in new[] { (false, ""), (true, ""), (false, "COMMIT"), (true, "ROLLBACK") })
        {
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

                replies.Add(Describe(isExtended ? await client.ExecuteAsync(sql, []) : await client.QueryAsync(sql), sql));
                if (block.Length > 0)
                {
                    await client.QueryAsync(block);
                }

                replies[^1] += Describe(await client.QueryAsync("SELECT * FROM made"), sql);
                await client.QueryAsync("DROP TABLE made");
            }

            Assert.That(replies[0], Is.EqualTo(replies[1]), $"{sql} {isExtended} {block}");
            await SameRowsAsync(sql);
        }
    }

    [Test]
    public async Task ATableThatIsThereIsLeftAlone()
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("CREATE TABLE IF NOT EXISTS plain AS SELECT * FROM item")).Tags, Is.EqualTo(new[] { "CREATE TABLE AS" }));
        Assert.That((await client.QueryAsync("SELECT count(*) FROM plain")).Rows[0][0], Is.EqualTo("5"));
        Assert.That((await client.QueryAsync("CREATE TABLE plain AS SELECT * FROM item")).SqlState, Is.EqualTo("42P07"));
    }

    [Test]
    public async Task ManyRowsArriveInOneMoment()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "INSERT INTO item (id, name, changed) SELECT g, repeat('x', 100), now() FROM generate_series(1001, 9000) g");
        Assert.That((await client.QueryAsync("CREATE TABLE many AS SELECT id, now() AS at FROM item")).Tags, Is.EqualTo(new[] { "SELECT 8024" }));
        Assert.That((await client.QueryAsync("SELECT count(*), count(DISTINCT id), count(DISTINCT at) FROM many")).Rows.Single(), Is.EqualTo(new[] { "8024", "8024", "1" }));
        await Must(client, "DROP TABLE many");
    }
}
