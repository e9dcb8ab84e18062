using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects query strings with several statements over several nodes: each answers in its turn, and all of them count or none does.</summary>
[TestFixture]
internal sealed class StatementStringTests : WriteFixture
{
    private static readonly string Each = string.Join("; ", Enumerable.Range(1, 6).Select(i => $"UPDATE item SET name = 'u{i}' WHERE id = {i}"));

    private static IEnumerable<string> Strings() =>
    [
        Each,
        $"{Each}; SELECT 1/0",
        $"{Each}; SELECT id, name FROM item WHERE id = 1; SELECT id, name FROM item WHERE id = 2; SELECT id, name FROM item WHERE id = 3",
        "DELETE FROM part; SELECT count(*) FROM part; INSERT INTO part VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c'); SELECT count(*) FROM part",
        "DELETE FROM part; INSERT INTO item (id) VALUES (1); DELETE FROM item",
        "UPDATE city SET people = 1; SELECT people FROM city ORDER BY name; UPDATE item SET price = 1 WHERE id = 7",
        "SELECT 1; SELECT sum(price) FROM item; ; SELECT 2;",
        "INSERT INTO item (id) VALUES (101); INSERT INTO item (id) VALUES (102); INSERT INTO item (id) VALUES (103); INSERT INTO item (id) VALUES (101)",
        "INSERT INTO item (id) VALUES (100 + 1); SELECT name FROM item WHERE id = 101",
        "SELECT nothing FROM item WHERE id = 1; SELECT * FROM item",
        "UPDATE item SET price = 5 WHERE id = 1; SET LOCAL statement_timeout = '30s'; UPDATE item SET price = 6 WHERE id = 2; UPDATE item SET price = 7 WHERE id = 3; SHOW statement_timeout",
    ];

    [TestCaseSource(nameof(Strings))]
    public async Task IsWhatOnePostgresDoes(string text)
    {
        foreach (var block in new[] { "", "COMMIT", "ROLLBACK" })
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

                replies.Add(Whole(await client.QueryAsync(text)));
                if (block.Length > 0)
                {
                    replies[^1] += Whole(await client.QueryAsync(block));
                }

                replies[^1] += Whole(await client.QueryAsync("SHOW statement_timeout"));
            }

            Assert.That(replies[0], Is.EqualTo(replies[1]), $"{text} {block}");
            await SameRowsAsync($"{text} {block}");
        }
    }

    [TestCase("UPDATE item SET price = 1; COMMIT; SELECT 1")]
    [TestCase("UPDATE item SET price = 1; VACUUM item")]
    [TestCase("SELECT count(*) FROM item; COPY item (id) FROM STDIN")]
    public async Task WhatCannotBeOneTransactionIsRefused(string text)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(text)).Errors.Single().Field('D'), Is.EqualTo("SHP-213"));
        await SameRowsAsync(text);
        await Must(client, "SELECT 1");
    }

    private static string Whole(Transcript reply) =>
        $"{string.Join(", ", reply.Errors.Select(e => $"{e.Field('C')} {e.Field('M')} {e.Field('P')}"))}\n{string.Join('\n', reply.Rows.Select(r => string.Join(" | ", r.Select(v => v ?? "NULL"))))}\n{string.Join(", ", reply.Tags)} {reply.Status}\n";
}
