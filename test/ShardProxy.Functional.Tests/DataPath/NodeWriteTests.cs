using System.Globalization;
using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects UPDATE and DELETE over several nodes: every row that one PostgreSQL would write is written once, on its owner; copies of rows on other nodes
/// stay as they are; an error anywhere leaves nothing behind.
/// </summary>
[TestFixture]
internal sealed class NodeWriteTests : WriteFixture
{
    private static IEnumerable<string> Statements() =>
    [
        "DELETE FROM item",
        "UPDATE item SET name = 'all'",
        "UPDATE item SET name = name || '!' RETURNING id, name",
        "UPDATE item AS i SET price = i.price * 2, name = DEFAULT WHERE i.city = 'Rome' AND i.price > 5 RETURNING i.*",
        "DELETE FROM ONLY item WHERE city IS NULL OR id BETWEEN 3 AND 9 RETURNING *, price + 1 AS more",
        "DELETE FROM item WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 8, 1000)",
        "UPDATE item SET name = 'some' WHERE id = ANY (ARRAY[2, 4, 6, 8]) OR id = 1",
        "UPDATE item SET (name, price) = ('pair', id + 0.25) WHERE (id, city) > (10, 'a')",
        "UPDATE item SET name = CASE WHEN id > 12 THEN upper(name) ELSE to_char(price, '999.9') END, price = round(price / 3, 1) WHERE name IS DISTINCT FROM 'n1'",
        "UPDATE item SET price = price + 9975.6",
        "UPDATE item SET price = 1 / (id - 7)",
        "UPDATE item SET nope = 1",
        "DELETE FROM item WHERE nope = 1",
        "UPDATE item SET name = NULL WHERE id = 1.0",
        "DELETE FROM item WHERE id = abs(-4) OR id = 5::bigint",
        "DELETE FROM item WHERE id > 1000 RETURNING *",
        "DELETE FROM stamp WHERE a = 3",
        "UPDATE stamp SET n = -n WHERE b = 'b7' OR a IN (1, 2)",
        "UPDATE part SET label = item.name FROM item WHERE item.id = part.item_id AND item.price > 4 RETURNING part.*, item.city",
        "DELETE FROM part p USING item i WHERE p.item_id = i.id AND i.city = 'Oslo'",
        "DELETE FROM part USING item, city WHERE part.item_id = item.id AND item.city = city.name AND city.people > 1",
        "UPDATE item SET city = country FROM city WHERE city.name = item.city",
        "UPDATE item SET name = 'parts' WHERE EXISTS (SELECT 1 FROM part WHERE part.item_id = item.id AND no = 1)",
        "DELETE FROM item WHERE NOT EXISTS (SELECT FROM part p WHERE p.item_id = item.id)",
        "UPDATE item SET price = (SELECT count(*) FROM part p WHERE p.item_id = item.id)",
        "DELETE FROM item WHERE id IN (SELECT item_id FROM part WHERE no = 1)",
        "DELETE FROM part WHERE item_id IN (SELECT id FROM item WHERE price > 9) AND no IN (0, 5)",
        "DELETE FROM part WHERE item_id IN (SELECT DISTINCT i.id FROM item i WHERE i.city = 'Rome')",
        "DELETE FROM item WHERE city IN (SELECT name FROM city WHERE people > 2)",
        "UPDATE item SET price = (SELECT max(people) FROM city) WHERE price < (SELECT sum(people) FROM city)",
        "WITH big AS (SELECT name FROM city WHERE people > 2) DELETE FROM item USING big WHERE big.name = item.city",
        "DELETE FROM part x USING part y WHERE x.item_id = y.item_id AND x.no > y.no",
        "UPDATE public.item SET name = 'where', city = $$ where x returning y $$ -- where\n WHERE /* returning */ \"id\" > 3 AND name <> 'where returning' -- end",
        "UPDATE item SET name = 'q' WHERE item.price IS NOT NULL;",
    ];

    [TestCaseSource(nameof(Statements))]
    public Task IsWhatOnePostgresDoes(string sql) => SameAsync(sql);

    [Test]
    public async Task ParametersOfAllKinds()
    {
        await SameAsync("UPDATE item SET name = $1 WHERE price > $2 AND city = $3 RETURNING id", "new", "5", "Rome");
        await SameAsync("DELETE FROM item WHERE id = ANY ($1)", "{1,2,3,4,5,6}");
        await SameAsync("DELETE FROM item WHERE id IN ($1, $2, $3, $4, $5)", "1", "2", "3", "4", "99");
        await SameAsync("UPDATE item SET price = price + $1::numeric", "1");
    }

    [Test]
    public async Task OneStatementIsOneMoment()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "UPDATE item SET changed = now() WHERE changed < current_timestamp");
        var times = await OnEachNodeAsync("SELECT DISTINCT changed FROM item");
        Assert.That((times.Distinct(EqualityComparer<string[]>.Create((a, b) => a!.SequenceEqual(b!), a => a.Length)).Count(), times[0].Length), Is.EqualTo((1, 1)));
    }

    [Test]
    public async Task RowsComeInBoundedMemoryAndInTheClientsFormat()
    {
        using var client = await Proxy.LoginAsync();
        var rows = string.Join(", ", Enumerable.Range(1000, 12_000).Select(i => $"({i}, repeat('x', 300))"));
        Assert.That((await client.QueryAsync($"INSERT INTO item (id, name) VALUES {rows}")).Tags, Is.EqualTo(new[] { "INSERT 0 12000" }));
        await using var connection = await Proxy.Source.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "DELETE FROM item WHERE id >= $1 RETURNING id, name";
        command.Parameters.Add(new() { Value = 1000 });
        var ids = new HashSet<int>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                Assert.That(reader.GetString(1), Has.Length.EqualTo(300));
                ids.Add(reader.GetInt32(0));
            }
        }

        Assert.That(ids, Has.Count.EqualTo(12_000));
    }

    [Test]
    public async Task CopiesOfRowsOnOtherNodesAreLeftAlone()
    {
        var table = Proxy.Plane.Current;
        var range = table.Group(table.Tables.Single(t => t.Name.Name == "item").GroupId).Ranges.First(r => r.NodeId == 1);
        using var client = await Proxy.LoginAsync();
        var ids = await DirectAsync(0, "SELECT id FROM item WHERE hashint8extended(id, 0) < -4611686018427387904");
        Assert.That(ids, Is.Not.Empty);
        foreach (var id in ids)
        {
            await DirectAsync(1, $"INSERT INTO item (id, name, price) VALUES ({id}, 'ghost', 1)");
        }

        var move = new RangeMove(1, range.GroupId, range.Id, 1, 2, MovePhase.Ghosts);
        await Proxy.PublishAsync(t => Placement.WithMoves(t, move), DrainScope.EarlierStatements, TimeSpan.FromSeconds(10));
        try
        {
            var all = await client.QueryAsync("UPDATE item SET price = price + 1 WHERE id < 0 OR id > 0 RETURNING id");
            Assert.That((all.Tags.Single(), all.Rows.Select(r => r[0]).Distinct().Count()), Is.EqualTo(("UPDATE 24", 24)));
            Assert.That((await client.QueryAsync("UPDATE item AS x SET name = 'one' -- all of them")).Tags.Single(), Is.EqualTo("UPDATE 24"));
            Assert.That((await client.ExecuteAsync("DELETE FROM item USING city WHERE city.name = item.city AND $1 = 1 RETURNING item.id", "1")).Tags.Single(), Is.EqualTo("DELETE 20"));
            Assert.That((await client.QueryAsync("DELETE FROM item WHERE id IN (6, 12, 18, 24, 1, 2)")).Tags.Single(), Is.EqualTo("DELETE 4"));
            Assert.That(await DirectAsync(1, "SELECT count(*), min(price), max(price), min(name) FROM item"), Is.EqualTo(new[] { string.Create(CultureInfo.InvariantCulture, $"{ids.Length}|1.00|1.00|ghost") }));
        }
        finally
        {
            await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, TimeSpan.FromSeconds(10));
        }
    }

    [Test]
    public async Task AClosedGateIsMetAgain()
    {
        // A gate as a move has it, on one node; it opens when it was met.
        await DirectAsync(1, """
            CREATE SEQUENCE met;
            CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
              IF nextval('met') < 3 THEN RAISE EXCEPTION 'closed' USING ERRCODE = 'P0004', CONSTRAINT = 'shardproxy_gate:1'; END IF; RETURN NULL; END $f$;
            CREATE TRIGGER gate AFTER UPDATE ON item FOR EACH STATEMENT EXECUTE FUNCTION gate();
            """);
        try
        {
            using var client = await Proxy.LoginAsync();
            Assert.That((await client.QueryAsync("UPDATE item SET price = price + 1")).Tags, Is.EqualTo(new[] { "UPDATE 24" }));
            Assert.That(await DirectAsync(1, "SELECT last_value FROM met"), Is.EqualTo(new[] { "3" }));
            await DirectAsync(1, "ALTER SEQUENCE met RESTART");
            await Must(client, "BEGIN");
            var refused = await client.QueryAsync("UPDATE item SET price = price + 1");
            Assert.That((refused.SqlState, refused.Errors.Single().Field('D')), Is.EqualTo(("40001", "SHP-403")));
            await Must(client, "ROLLBACK");
            Assert.That((await client.QueryAsync("SELECT sum(price - id) FROM item")).Rows.Single().Single(), Is.EqualTo("36.00"));
        }
        finally
        {
            await DirectAsync(1, "DROP TRIGGER gate ON item; DROP FUNCTION gate; DROP SEQUENCE met");
        }
    }

    [TestCase("UPDATE item SET id = id + 100", "SHP-205")]
    [TestCase("UPDATE item SET changed = 'now'", "SHP-226")]
    [TestCase("UPDATE item SET changed = statement_timestamp()", "SHP-201")]
    [TestCase("UPDATE item SET price = lastval()", "SHP-201")]
    [TestCase("DELETE FROM item WHERE ctid = '(0,1)'", "SHP-201")]
    [TestCase("DELETE FROM item USING plain WHERE plain.ctid = item.ctid", "SHP-203")]
    [TestCase("DELETE FROM item USING stamp WHERE stamp.xmin = item.xmin", "SHP-204")]
    [TestCase("WITH d AS (DELETE FROM part RETURNING item_id) DELETE FROM item WHERE id IN (SELECT item_id FROM part)", "SHP-201")]
    public async Task WhatIsNotSureIsRefused(string sql, string code)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo(code));
        await SameRowsAsync(sql);
    }
}
