using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects UPDATEs of the shard key: a row is afterwards on the node of its new key and nowhere else, as if one PostgreSQL had updated it.</summary>
[TestFixture]
internal sealed class KeyUpdateTests : WriteFixture
{
    private static IEnumerable<string> Statements() =>
    [
        "UPDATE item SET id = 1, name = 'same' WHERE id = 1 RETURNING id, name",
        .. Enumerable.Range(101, 6).Select(k => $"UPDATE item SET id = {k} WHERE id = 1 RETURNING *"),
        "UPDATE item AS i SET id = 102, name = upper(i.name), price = i.price + 0.505, changed = '2024-02-02 02:02+00' WHERE i.id = 2 RETURNING i.id, i.name, i.price, i.*",
        "UPDATE item SET id = '103' WHERE id = 3",
        "UPDATE item SET id = 104 WHERE id = 4 AND name = 'nobody' RETURNING id",
        "UPDATE item SET id = 105, city = (SELECT max(country) FROM city) WHERE id = 5",
        "UPDATE item SET id = 5 WHERE id = 6",
        "UPDATE item SET id = 5 WHERE id = 7 RETURNING id",
        "UPDATE item SET id = 106, price = 99999 WHERE id = 6",
        "UPDATE item SET id = NULL WHERE id = 6",
        "UPDATE item SET id = 107 WHERE name = 'n1' AND price < 3 RETURNING id, name, city, price",
        "UPDATE item SET id = 107 WHERE name = 'no such'",
        "UPDATE item SET id = 107 WHERE id IN (7, 1000)",
        "UPDATE item SET id = 108, price = NULL, name = DEFAULT, city = NULL WHERE id = 8",
        "UPDATE part SET item_id = 200 WHERE item_id = 5 RETURNING no, label",
        "UPDATE part SET item_id = 200, label = label || E'''\\\\' WHERE no = 1 AND item_id = 8",
        "UPDATE part SET item_id = 201 WHERE label = 'p0'",
        "UPDATE stamp SET b = 'moved' WHERE a = 3 AND b = 'b3' RETURNING n",
        "UPDATE stamp SET a = -5 WHERE a = 3 AND b = 'b3' RETURNING a, b, n",
        "UPDATE stamp SET a = 77, b = 'x''y' WHERE n = 9",
    ];

    [TestCaseSource(nameof(Statements))]
    public Task IsWhatOnePostgresDoes(string sql) => SameAsync(sql);

    [Test]
    public async Task KeysFromParameters()
    {
        await SameAsync("UPDATE item SET id = $1, name = $2 WHERE id = $3 RETURNING id, name", "301", "param", "1");
        await SameAsync("UPDATE item SET id = $1, name = $2 WHERE id = $3 RETURNING id, name", "302", "param", "2");
        await SameAsync("UPDATE item SET id = $1, name = $2 WHERE id = $3 RETURNING id, name", "2", "param", "2");
        await SameAsync("UPDATE stamp SET a = $1 WHERE a = $2 AND b = $3 RETURNING a, $4::text", "40", "2", "b2", "text");
    }

    [TestCase("UPDATE item SET id = id + 1 WHERE id = 1")]
    [TestCase("UPDATE item SET id = id + 100")]
    [TestCase("UPDATE stamp SET b = 'x' WHERE n = 1")]
    [TestCase("UPDATE item SET id = 500 FROM city WHERE city.name = item.city AND item.name = 'n1' RETURNING city.people")]
    [TestCase("WITH w AS (SELECT 1) UPDATE item SET id = 500 WHERE name = 'n1'")]
    public async Task WhatIsNotSureIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo("SHP-205"));
        await SameRowsAsync(sql);
    }

    [Test]
    public async Task ATableWithATriggerKeepsItsRows()
    {
        await DirectOnAllAsync("CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noop AFTER UPDATE ON part FOR EACH ROW EXECUTE FUNCTION noop()");
        try
        {
            using var client = await Proxy.LoginAsync();
            var refused = 0;
            for (var key = 400; key < 412; key++)
            {
                var reply = await client.QueryAsync($"UPDATE part SET item_id = {key} WHERE item_id = 5");
                refused += reply.Errors.SingleOrDefault()?.Field('D') == "SHP-205" ? 1 : 0;
                await client.QueryAsync($"UPDATE part SET item_id = 5 WHERE item_id = {key}");
                Assert.That(await DirectAllCountAsync(), Is.EqualTo(24), "each row is somewhere, once");
            }

            Assert.That(refused, Is.InRange(1, 11), "those that stay on their node are updated");
        }
        finally
        {
            await DirectOnAllAsync("DROP TRIGGER noop ON part; DROP FUNCTION noop()");
        }

        async Task<int> DirectAllCountAsync() => (await OnEachNodeAsync("SELECT count(*) FROM part")).Sum(r => int.Parse(r[0], System.Globalization.CultureInfo.InvariantCulture));
    }
}
