using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects writes that read rows which the nodes of their target do not have: from unsharded tables, from other groups, from all nodes together. What they read
/// is read once, and every node writes what one PostgreSQL would have written; what could differ from node to node is refused.
/// </summary>
[TestFixture]
internal sealed class SuppliedWriteTests : WriteFixture
{
    private static IEnumerable<string> Changes() =>
    [
        "UPDATE item SET name = p.v FROM plain p WHERE p.id = item.id RETURNING item.id, p.*",
        "UPDATE item SET name = plain.v FROM plain WHERE plain.id = item.id AND item.id = 3",
        "UPDATE item SET name = (SELECT v FROM plain WHERE plain.id = item.id) WHERE id < 9",
        "UPDATE item SET name = (SELECT max(v) FROM plain), price = (SELECT count(*) FROM stamp)",
        "UPDATE item i SET city = s.b FROM stamp s WHERE s.n = i.id AND s.a = 3",
        "UPDATE item i SET price = t.total FROM (SELECT item_id, count(*) AS total FROM part GROUP BY item_id) t WHERE t.item_id = i.id",
        "UPDATE item SET price = price + 1 WHERE price > (SELECT avg(price) FROM item) RETURNING *",
        "UPDATE item SET name = 'first' WHERE id IN (SELECT id FROM item WHERE city = 'Rome' ORDER BY price DESC, id LIMIT 3)",
        "UPDATE item SET name = x.n FROM (SELECT id, row_number() OVER (ORDER BY price DESC)::text AS n FROM item) x WHERE x.id = item.id",
        "UPDATE item AS i SET name = 'low' WHERE price < (SELECT avg(o.price) FROM item o WHERE o.city = i.city)",
        "UPDATE item SET name = 'q''\"\\' || v FROM (VALUES (1, 'a'), (7, NULL)) w (id, v) WHERE w.id = item.id",
        "UPDATE item SET name = u.t FROM unnest(ARRAY[2, 9], ARRAY['two', 'nine']) AS u (id, t) WHERE u.id = item.id",
        "UPDATE item SET (name, price) = (SELECT v, id FROM plain WHERE plain.id = item.id) WHERE id IN (SELECT id FROM plain)",
        "WITH top AS (SELECT n FROM stamp ORDER BY n DESC LIMIT 4) UPDATE item SET name = 'top' FROM top WHERE top.n = item.id",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r JOIN plain ON plain.id = r.n) DELETE FROM item USING r WHERE r.n = item.id",
        "WITH plain AS (SELECT 20 AS id) DELETE FROM item WHERE id IN (SELECT id FROM plain) AND EXISTS (SELECT FROM public.plain)",
        "DELETE FROM item USING plain WHERE plain.id = item.id AND plain.v > 'v2'",
        "DELETE FROM item WHERE id IN (SELECT n FROM stamp WHERE a = 2) RETURNING id",
        "DELETE FROM item WHERE id NOT IN (SELECT n FROM stamp WHERE a > 2)",
        "DELETE FROM part WHERE no < (SELECT max(no) FROM part p WHERE p.label = part.label) AND NOT EXISTS (SELECT FROM plain WHERE plain.id = part.item_id)",
        "DELETE FROM item WHERE EXISTS (SELECT FROM stamp WHERE stamp.n = item.id AND EXISTS (SELECT FROM plain WHERE plain.id = stamp.a))",
        "DELETE FROM item WHERE EXISTS (SELECT FROM stamp WHERE n > 1000)",
        "DELETE FROM item i USING item o WHERE o.price = i.price + 1 AND o.city = 'Oslo'",
        "DELETE FROM item USING plain p LEFT JOIN stamp s ON s.a = p.id WHERE p.id = item.id AND s.b IS NULL",
        "UPDATE item SET changed = date_trunc('century', now()) FROM plain WHERE plain.id = item.id AND changed < now()",
        "UPDATE item SET name = array_to_string(ARRAY(SELECT v FROM plain ORDER BY id DESC), ',') WHERE id < 4",
        "UPDATE item SET name = (SELECT string_agg(name, ',' ORDER BY name) FROM city)",
        "UPDATE item SET name = nope.v FROM plain nope WHERE nope.nope = 1",
        "UPDATE item SET price = (SELECT id FROM plain)",
        "DELETE FROM item WHERE id NOT IN (SELECT item_id FROM part)",
        "UPDATE part SET label = i.name FROM item i WHERE i.id = part.no",
        "DELETE FROM item WHERE EXISTS (SELECT 1 FROM part WHERE item_id = id + 1)",
        "DELETE FROM item WHERE EXISTS (SELECT 1 FROM part WHERE item_id = no)",
        "DELETE FROM item WHERE id IN (SELECT item_id + 1 FROM part)",
        "UPDATE plain SET v = item.name FROM item WHERE item.id = plain.id RETURNING plain.*, item.price",
        "UPDATE plain SET v = (SELECT count(*) FROM part WHERE part.item_id = plain.id)",
        "DELETE FROM plain WHERE id IN (SELECT item_id FROM part WHERE no = 1)",
        "INSERT INTO plain SELECT id + 100, name FROM item WHERE city = 'Rome'",
        "INSERT INTO plain (v, id) SELECT 'x', n FROM stamp WHERE n > 3 ON CONFLICT (id) DO UPDATE SET v = plain.v || excluded.v RETURNING *",
        "INSERT INTO plain SELECT max(id) + 1, '2024-01-01' FROM item",
        "WITH big AS (SELECT id FROM item WHERE price > 20) INSERT INTO plain SELECT id, 'big' FROM big",
        "INSERT INTO plain VALUES (77, (SELECT max(name) FROM item)), ((SELECT count(*) + 1000 FROM part), 'n')",
    ];

    private static IEnumerable<string> Merges() =>
    [
        "MERGE INTO item USING (VALUES (3, 'three'), (99, 'new'), (100, NULL)) v (id, name) ON item.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)",
        "MERGE INTO item i USING plain p ON i.id = p.id AND i.city = 'Rome' WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND p.id > 4 THEN INSERT (id, name) VALUES (p.id, p.v)",
        "MERGE INTO item i USING (SELECT id + 20 AS k, v FROM plain) p ON p.k = i.id WHEN NOT MATCHED THEN INSERT VALUES (p.k, p.v) WHEN MATCHED AND i.price > 22 THEN UPDATE SET name = p.v WHEN MATCHED THEN DO NOTHING",
        "MERGE INTO item i USING part p ON i.id = p.item_id AND p.no = 1 WHEN MATCHED THEN UPDATE SET name = p.label",
        "MERGE INTO part USING item ON part.item_id = item.id WHEN MATCHED AND no = 0 THEN UPDATE SET label = item.name WHEN NOT MATCHED THEN INSERT (item_id, no) VALUES (item.id, 9)",
        "MERGE INTO item USING stamp s ON item.id = s.n AND s.a = 1 WHEN MATCHED THEN UPDATE SET price = s.a",
        "MERGE INTO item i USING (VALUES (1)) v (x) ON i.city = 'Oslo' WHEN MATCHED THEN UPDATE SET name = 'oslo' WHEN NOT MATCHED THEN DO NOTHING",
        "MERGE INTO stamp USING (SELECT a, b FROM stamp WHERE n < 5 UNION ALL SELECT 50, 'new') s ON stamp.a = s.a AND stamp.b = s.b WHEN MATCHED THEN UPDATE SET n = 0 WHEN NOT MATCHED THEN INSERT (b, a, n) VALUES (s.b, s.a, (SELECT count(*) FROM plain))",
        "WITH s AS (SELECT id, v FROM plain WHERE id > 3) MERGE INTO item USING s ON item.id = s.id WHEN MATCHED THEN UPDATE SET name = s.v WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
        "MERGE INTO item USING (VALUES (NULL::int, 'null')) v (id, name) ON item.id = v.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)",
        "MERGE INTO item USING (VALUES (5, 'a'), (5, 'b')) v (id, name) ON item.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name",
        "MERGE INTO plain USING item ON item.id = plain.id WHEN MATCHED THEN UPDATE SET v = item.name WHEN NOT MATCHED AND item.id < 8 THEN INSERT VALUES (item.id, item.name)",
        "MERGE INTO plain p USING plain q ON p.id = q.id + 1 WHEN MATCHED THEN UPDATE SET v = q.v",
        "MERGE INTO item USING plain ON nope = 1 WHEN MATCHED THEN DELETE",
    ];

    private static IEnumerable<string> Refused() =>
    [
        "MERGE INTO item USING (VALUES (3, 'x')) v (id, name) ON item.id = v.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id + 1, v.name)",
        "MERGE INTO item USING plain p ON item.name = p.v WHEN NOT MATCHED THEN INSERT (id, name) VALUES (p.id, p.v)",
        "MERGE INTO item USING plain p ON item.id = p.id WHEN MATCHED THEN UPDATE SET id = 77",
        "MERGE INTO item USING (VALUES (3.0, 'x')) v (id, name) ON item.id = v.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)",
        "UPDATE item SET name = v.r::text FROM (VALUES (random())) v (r)",
        "UPDATE item SET price = (SELECT random() * 100)",
        "UPDATE item SET id = p.id FROM plain p WHERE p.id = item.id",
        "DELETE FROM item USING plain WHERE plain.ctid = item.ctid",
    ];

    [TestCaseSource(nameof(Changes))]
    public Task IsWhatOnePostgresDoes(string sql) => SameAsync(sql);

    [TestCaseSource(nameof(Merges))]
    public Task MergesAsOnePostgresDoes(string sql) => SameAsync(sql);

    [TestCaseSource(nameof(Refused))]
    public async Task WhatNodesCannotProveIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors[0].Field('D')?[..5]), Is.EqualTo(("0A000", "SHP-2")), reply.ToString());
    }

    [Test]
    public async Task ParametersReachWhatIsReadElsewhere()
    {
        await SameAsync("UPDATE item SET name = $1 FROM plain WHERE plain.id = item.id AND plain.v > $2 RETURNING item.id", "new", "v2");
        await SameAsync("DELETE FROM item WHERE id IN (SELECT n FROM stamp WHERE a = $1 OR b = $2)", "3", "b7");
        await SameAsync("MERGE INTO item USING (SELECT $1::int AS id, $2 AS name) v ON item.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)", "300", "p");
        await SameAsync("INSERT INTO plain SELECT id + $1, $2 FROM item WHERE id < $3", "1000", "p", "5");
    }

    [Test]
    public async Task CopiesOfAMovingRangeAreLeftAlone()
    {
        var table = Proxy.Plane.Current;
        var range = table.Group(table.Tables.Single(t => t.Name.Name == "item").GroupId).Ranges.First(r => r.NodeId == 1);
        var move = new RangeMove(1, range.GroupId, range.Id, 1, 2, MovePhase.Ghosts);
        foreach (var sql in (string[])[.. Changes().Take(12), .. Merges().Take(8)])
        {
            await FillAsync();
            var ids = await DirectAsync(0, "SELECT id FROM item WHERE hashint8extended(id, 0) < -4611686018427387904");
            Assert.That(ids, Is.Not.Empty);
            foreach (var id in ids)
            {
                await DirectAsync(1, $"INSERT INTO item (id, name, city, price) VALUES ({id}, 'ghost', 'Rome', 1)");
                await DirectAsync(1, $"INSERT INTO part VALUES ({id}, 1, 'ghost')");
            }

            await Proxy.PublishAsync(t => Placement.WithMoves(t, move), DrainScope.EarlierStatements, TimeSpan.FromSeconds(10));
            using var client = await Proxy.LoginAsync();
            using var direct = await TwinAsync();
            try
            {
                Assert.That(Describe(await client.QueryAsync(sql), sql), Is.EqualTo(Describe(await direct.QueryAsync(sql), sql)), sql);
            }
            finally
            {
                await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, TimeSpan.FromSeconds(10));
            }

            await DirectAsync(1, "DELETE FROM item WHERE name = 'ghost' AND city = 'Rome' AND price = 1");
            await DirectAsync(1, "DELETE FROM part WHERE label = 'ghost' AND no = 1");
            await SameRowsAsync(sql);
        }
    }
}
