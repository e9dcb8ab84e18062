using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

// Protects statements with writes in their WITH over several nodes: what they answer, what they leave and which errors they give is what one PostgreSQL does, by both
// protocols, outside blocks and in them; where one part would see what another has written they are refused.
[TestFixture]
internal sealed class WritingWithTests : WriteFixture
{
    [TestCase("WITH gone AS (DELETE FROM part WHERE no = 1 RETURNING *) SELECT count(*), max(label) FROM gone")]
    [TestCase("WITH gone AS (DELETE FROM part WHERE no = 1 RETURNING item_id, label) INSERT INTO stamp (a, b) SELECT item_id, label FROM gone")]
    [TestCase("WITH gone AS (DELETE FROM part WHERE no = 1 RETURNING item_id, label) INSERT INTO stamp (a, b) SELECT item_id, label FROM gone RETURNING a, b, n")]
    [TestCase("WITH gone AS (DELETE FROM part RETURNING item_id, no) INSERT INTO plain SELECT 100 + item_id * 10 + no, 'gone' FROM gone RETURNING id")]
    [TestCase("WITH made AS (INSERT INTO item (id, name) VALUES (101, 'm'), (102, 'm'), (103, NULL) RETURNING id, name) INSERT INTO part SELECT id, 0, name FROM made")]
    [TestCase("WITH made AS (INSERT INTO item (id) VALUES (101) RETURNING *) SELECT id, name, price FROM made")]
    [TestCase("WITH u AS (UPDATE item SET price = price + 1 WHERE city = 'Rome' RETURNING *) SELECT * FROM u")]
    [TestCase("WITH u AS (UPDATE item SET price = price + 1 WHERE city = 'Rome' RETURNING id) UPDATE part SET label = 'rome' FROM u WHERE u.id = part.item_id")]
    [TestCase("WITH u AS (UPDATE item SET price = price + 1 WHERE id = 3 RETURNING id) DELETE FROM part USING u WHERE u.id = part.item_id RETURNING part.*")]
    [TestCase("WITH u (k) AS (UPDATE plain SET v = 'u' WHERE id < 4 RETURNING id), d AS (DELETE FROM part WHERE item_id IN (SELECT k FROM u) RETURNING *), s AS (SELECT count(*) AS n FROM d) SELECT k, n FROM u, s")]
    [TestCase("WITH unread AS (DELETE FROM part WHERE no = 0) SELECT count(*) FROM item")]
    [TestCase("WITH unread AS (DELETE FROM part WHERE no = 0), other AS (UPDATE stamp SET n = 0 WHERE a = 1) UPDATE plain SET v = 'w'")]
    [TestCase("WITH known AS (SELECT id FROM item WHERE city = 'Rome'), u AS (UPDATE part SET label = 'r' WHERE item_id IN (SELECT id FROM known) RETURNING item_id) SELECT item_id, count(*) FROM u GROUP BY item_id")]
    [TestCase("WITH made AS (INSERT INTO item (id, name) VALUES (101, 'm'), (102, 'm') RETURNING id) INSERT INTO item (id, name) SELECT id + 100, 'n' FROM made")]
    [TestCase("WITH made AS (INSERT INTO item (id, name) VALUES (101, 'm'), (102, 'm') RETURNING id) INSERT INTO item (id, name) SELECT id, 'n' FROM made")]
    [TestCase("WITH t AS (DELETE FROM part WHERE no = 1 RETURNING now() AS at) SELECT count(DISTINCT at), bool_and(at = now()) FROM t")]
    [TestCase("WITH u AS (UPDATE item SET price = 99999 WHERE city = 'Rome' RETURNING id) SELECT * FROM u")]
    [TestCase("WITH made AS (INSERT INTO item (id) VALUES (101), (3) RETURNING id) INSERT INTO part SELECT id, 0 FROM made")]
    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome') SELECT * FROM u")]
    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome' RETURNING nothing) SELECT * FROM u")]
    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome' RETURNING id) SELECT id / 0 FROM u")]
    public Task EachPartWritesWhereItsRowsAre(string sql) => SameAsync(sql);

    [Test]
    public async Task ParametersGoToThePartsThatHaveThem()
    {
        await SameAsync("WITH u AS (UPDATE item SET price = price + $1 WHERE city = $2 RETURNING id, price) SELECT * FROM u WHERE id < $3", "1.5", "Rome", "12");
        await SameAsync("WITH made AS (INSERT INTO item (id, name) VALUES ($1, $2), ($3, 'b') RETURNING id) INSERT INTO part SELECT id, $4::int, 'p' FROM made RETURNING item_id, no", "201", "a", "202", "7");
        await SameAsync("WITH gone AS (DELETE FROM part WHERE item_id = $1 RETURNING *) SELECT count(*) FROM gone", "5");
    }

    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome' RETURNING id) SELECT count(*) FROM item WHERE price = 1")]
    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome' RETURNING id), s AS (SELECT sum(price) AS p FROM item) SELECT p FROM s, u")]
    [TestCase("WITH u AS (INSERT INTO part VALUES (1, 9), (2, 9) RETURNING item_id) UPDATE part SET label = 'x' WHERE no = 9")]
    [TestCase("WITH u AS (UPDATE item SET price = 1 WHERE city = 'Rome' RETURNING id) INSERT INTO item (id) SELECT id FROM u ON CONFLICT DO NOTHING")]
    [TestCase("WITH gone AS (DELETE FROM item WHERE city = 'Rome') INSERT INTO item (id, name) VALUES (2, 'x'), (4, 'y')")]
    [TestCase("WITH u AS (UPDATE item SET name = 'there' WHERE city = 'Rome' RETURNING *) INSERT INTO item (id, name) SELECT 999, 'new' WHERE NOT EXISTS (SELECT FROM u) RETURNING id")]
    [TestCase("WITH u AS (UPDATE part SET label = 'x' RETURNING item_id) SELECT count(*), random() FROM u")]
    [TestCase("WITH RECURSIVE u AS (UPDATE part SET label = 'x' RETURNING item_id) SELECT count(*) FROM u")]
    public async Task WhatWouldSeeTheWritesOfAnotherPartIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.SqlState, Is.EqualTo("0A000"), $"{sql}\n{reply}");
        await SameRowsAsync(sql);
    }

    [TestCase("CREATE VIEW looks AS SELECT * FROM plain", "DROP VIEW looks", "WITH u AS (UPDATE plain SET v = 'u' RETURNING id), p AS (UPDATE part SET label = 'x' RETURNING no) SELECT count(*) FROM looks, p WHERE v = 'u'")]
    [TestCase("CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noted BEFORE UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION noted()", "DROP TRIGGER noted ON plain; DROP FUNCTION noted", "WITH u AS (UPDATE plain SET v = 'u' RETURNING id), p AS (UPDATE part SET label = 'x' RETURNING no) SELECT count(*) FROM p")]
    public async Task WhatMayReachATableUnseenIsRefused(string make, string drop, string sql)
    {
        using var direct = await DirectLoginAsync(0);
        await Must(direct, make);
        try
        {
            using var client = await Proxy.LoginAsync();
            var reply = await client.QueryAsync(sql);
            Assert.That(reply.SqlState, Is.EqualTo("0A000"), reply.ToString());
            await SameRowsAsync(sql);
        }
        finally
        {
            await Must(direct, drop);
        }
    }

    [Test]
    public async Task AnErrorOfALaterPartUndoesTheEarlierOnesAndFailsTheBlock()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        var failed = await client.QueryAsync("WITH gone AS (DELETE FROM part RETURNING item_id) INSERT INTO item (id) SELECT item_id FROM gone");
        Assert.That(failed.SqlState, Is.EqualTo("23505"));
        Assert.That(failed.Status, Is.EqualTo('E'));
        await Must(client, "ROLLBACK");
        await SameRowsAsync("after the block");
        Assert.That((await client.QueryAsync("WITH gone AS (DELETE FROM part RETURNING item_id) INSERT INTO item (id) SELECT item_id FROM gone")).SqlState, Is.EqualTo("23505"));
        await SameRowsAsync("outside a block");
    }
}
