using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects SQL's PREPARE and EXECUTE of statements over placed tables: names, types and errors are PostgreSQL's, wherever the statement runs.</summary>
[TestFixture]
internal sealed class SqlPrepareTests : WriteFixture
{
    private static IEnumerable<TestCaseData> Statements() =>
    [
        Case("PREPARE q AS SELECT id, name FROM item WHERE id = $1", "EXECUTE q(5)", "EXECUTE q ( '7' )", "EXECUTE q(NULL)", "execute q(2 + 1)", "EXECUTE q(3.6)"),
        Case("PREPARE q (text, numeric) AS SELECT count(*), $1, $2 AS two, upper($1), $1 || 'x' FROM item WHERE city = $1 AND price > $2", "EXECUTE q('Rome', 5)", "EXECUTE q('it''s', -1.5)", "EXECUTE q('a', 'b')"),
        Case("PREPARE \"Q 1\" AS UPDATE item SET name = $2 WHERE price < $1 RETURNING id, $2::text", "EXECUTE \"Q 1\"(9, 'cheap')", "EXECUTE \"Q 1\" (3, E'a\\nb')"),
        Case("PREPARE q AS INSERT INTO item (id, name, price) VALUES ($1, $2, DEFAULT), ($1 + 1, upper($2), 1)", "EXECUTE q(500, 'p')", "EXECUTE q(700, NULL)"),
        Case("PREPARE q AS DELETE FROM part WHERE item_id IN (SELECT id FROM item WHERE city = $1)", "EXECUTE q('Oslo')"),
        Case("PREPARE q AS SELECT i.city, count(*) FROM item i JOIN stamp s ON s.n = i.id WHERE s.a > $1 GROUP BY i.city HAVING count(*) > $2 ORDER BY $1, 1 LIMIT $3", "EXECUTE q(1, 0, 5)", "EXECUTE q(1)", "EXECUTE q(1, 2, 3, 4)"),
        Case("PREPARE q AS SELECT * FROM (SELECT $1 AS a, $2) x, city WHERE name = $1", "EXECUTE q('Rome', 'b')"),
        Case("PREPARE q AS SELECT max(price) FROM item", "EXECUTE q", "EXECUTE q()", "EXECUTE q(1)"),
        Case("PREPARE q AS SELECT name FROM city ORDER BY 1", "EXECUTE q"),
        Case("PREPARE q AS SELECT nope FROM item", "EXECUTE q"),
        Case("PREPARE q AS SELECT v FROM plain WHERE id = $1", "EXECUTE q(2)", "EXECUTE q('x')"),
        Case("PREPARE q AS SELECT id FROM item WHERE name = $1", "EXECUTE q('n1')", "DEALLOCATE q", "EXECUTE q('n1')", "PREPARE q AS SELECT count(*) FROM part", "EXECUTE q"),
    ];

    [TestCaseSource(nameof(Statements))]
    public async Task IsWhatOnePostgresAnswers(string[] statements)
    {
        foreach (var isExtended in new[] { false, true })
        {
            await FillAsync();
            using var proxy = await Proxy.LoginAsync();
            using var direct = await TwinAsync();
            foreach (var sql in statements)
            {
                var (found, expected) = (await SendAsync(proxy, sql, isExtended), await SendAsync(direct, sql, isExtended));
                Assert.That(Describe(found, sql), Is.EqualTo(Describe(expected, sql)), $"{string.Join("; ", statements)}: {sql}");
            }

            await SameRowsAsync(string.Join("; ", statements));
        }
    }

    [Test]
    public async Task AnErrorFailsTheBlock()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "PREPARE q AS SELECT id FROM item WHERE price > $1");
        await Must(client, "BEGIN");
        await Must(client, "INSERT INTO item (id, price) VALUES (900, 5000)");
        Assert.That((await client.QueryAsync("EXECUTE q(4000)")).Rows.Single()[0], Is.EqualTo("900"));
        Assert.That((await client.QueryAsync("EXECUTE q('x')")).SqlState, Is.EqualTo("22P02"));
        Assert.That((await client.QueryAsync("EXECUTE q(1)")).SqlState, Is.EqualTo("25P02"));
        await Must(client, "ROLLBACK");
    }

    [Test]
    public async Task WhatIsNotTheSameTwiceIsRefused()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "PREPARE q AS SELECT id FROM item WHERE price > $1");
        Assert.That((await client.QueryAsync("EXECUTE q(random())")).SqlState, Is.EqualTo("0A000"));
    }

    private static Task<Transcript> SendAsync(ScriptedClient client, string sql, bool isExtended) => isExtended ? client.ExecuteAsync(sql) : client.QueryAsync(sql);

    private static TestCaseData Case(params string[] statements) => new TestCaseData((object)statements).SetArgDisplayNames(statements[0]);
}
