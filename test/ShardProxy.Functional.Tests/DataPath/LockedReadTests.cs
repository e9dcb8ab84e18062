using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects SELECT … FOR UPDATE and its like over several nodes: the rows and their order are PostgreSQL's, and each row is locked where it lies.</summary>
[TestFixture]
internal sealed class LockedReadTests : WriteFixture
{
    private static IEnumerable<string> Statements() =>
    [
        "SELECT * FROM item FOR UPDATE",
        "SELECT id, name AS n FROM item WHERE price > 5 ORDER BY n, id DESC FOR UPDATE",
        "SELECT id FROM item ORDER BY price DESC NULLS LAST, city FOR NO KEY UPDATE",
        "SELECT i.id, p.no FROM item i JOIN part p ON p.item_id = i.id WHERE i.city = 'Rome' ORDER BY 1, 2 FOR UPDATE OF i",
        "SELECT item.id, city.people FROM item JOIN city ON city.name = item.city ORDER BY item.id FOR SHARE OF item",
        "SELECT id FROM item WHERE id IN (1, 2, 3, 4, 5, 6) ORDER BY id FOR KEY SHARE NOWAIT",
        "SELECT id FROM item WHERE id < 0 FOR UPDATE SKIP LOCKED",
        "SELECT name FROM item ORDER BY upper(name), id FOR UPDATE;",
        "SELECT count(*) FROM item FOR UPDATE",
        "SELECT DISTINCT city FROM item FOR UPDATE",
        "SELECT nope FROM item FOR UPDATE",
        "SELECT 1 / (id - 7) FROM item FOR UPDATE",
    ];

    [TestCaseSource(nameof(Statements))]
    public async Task IsWhatOnePostgresAnswers(string sql)
    {
        await SameAsync(sql);
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        if (sql.Contains("ORDER BY", StringComparison.Ordinal))
        {
            Assert.That(Rows(await proxy.QueryAsync(sql)), Is.EqualTo(Rows(await direct.QueryAsync(sql))));
        }
    }

    [Test]
    public async Task ParametersAreInThePlaceOfConditions() => await SameAsync("SELECT id FROM item WHERE price > $1 AND city = $2 ORDER BY id FOR UPDATE", "5", "Rome");

    [Test]
    public async Task RowsAreLockedOnTheirNodes()
    {
        using var first = await Proxy.LoginAsync();
        using var second = await Proxy.LoginAsync();
        await Must(first, "BEGIN");
        Assert.That((await first.QueryAsync("SELECT id FROM item WHERE id BETWEEN 5 AND 16 ORDER BY id FOR UPDATE")).Rows, Has.Count.EqualTo(12));
        await Must(second, "BEGIN");
        Assert.That((await second.QueryAsync("SELECT id FROM item ORDER BY id FOR UPDATE SKIP LOCKED")).Rows, Has.Count.EqualTo(12));
        Assert.That((await second.QueryAsync("SELECT id FROM item WHERE id > 8 FOR UPDATE NOWAIT")).SqlState, Is.EqualTo("55P03"));
        await Must(second, "ROLLBACK");
        await Must(first, "UPDATE item SET name = 'locked' WHERE id BETWEEN 5 AND 16");
        await Must(first, "COMMIT");
        Assert.That((await second.QueryAsync("SELECT id FROM item WHERE name = 'locked' FOR UPDATE NOWAIT")).Rows, Has.Count.EqualTo(12));
    }

    [TestCase("SELECT id FROM item ORDER BY id LIMIT 3 FOR UPDATE")]
    [TestCase("SELECT id FROM item WHERE id IN (SELECT n FROM stamp) FOR UPDATE")]
    [TestCase("SELECT item.id FROM item, plain FOR UPDATE OF item")]
    public async Task WhatWouldLockOtherRowsIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors[0].Field('D')?[..5]), Is.EqualTo(("0A000", "SHP-2")), reply.ToString());
    }

    private static string[] Rows(Transcript reply) => [.. reply.Rows.Select(r => string.Join('|', r.Select(v => v ?? "NULL")))];
}
