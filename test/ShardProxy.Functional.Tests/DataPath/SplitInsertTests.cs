using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects INSERT … VALUES with rows of several nodes: every row reaches its owner once or none does, and the client is told what one PostgreSQL says.
/// </summary>
[TestFixture]
internal sealed class SplitInsertTests : WriteFixture
{
    private static readonly string Many = string.Join(", ", Enumerable.Range(101, 30).Select(i => $"({i}, 'x{i}')"));

    private static IEnumerable<string> Statements() =>
    [
        $"INSERT INTO item (id, name) VALUES {Many}",
        $"INSERT INTO item (id, name) VALUES {Many} RETURNING id, name, price",
        $"INSERT INTO item AS i (id, name) VALUES {Many} RETURNING i.*, i.id + 1 AS next",
        "INSERT INTO item VALUES (101), (102), (103), (104), (105), (106) RETURNING *",
        "INSERT INTO public.item (name, price, id) VALUES ('a', 1.5, '201'), (NULL, DEFAULT, 202), (upper('c'), (1 + 2) * 3, -203), (E'd''\\\\,(', (ARRAY[1, 2])[1], 204), ('(', 5, 205), ($$x),($$, 6, 206)",
        "INSERT INTO item /* (1), */ (id, name) -- VALUES (\n VALUES (301, 'a, (b'), (302, '--'), -- (303, 'z'),\n (304, '/*'), (305, $q$ ), ( $q$) /* done */ RETURNING id -- end",
        "INSERT INTO item (id, name, city) VALUES (1, 'again', 'x'), (401, 'new', 'y'), (2, 'again', 'z'), (402, 'new', 'w') ON CONFLICT DO NOTHING RETURNING id",
        "INSERT INTO item (id, name) VALUES (1, 'up'), (501, 'new'), (2, 'up'), (502, 'new'), (3, 'up') ON CONFLICT (id) DO UPDATE SET name = excluded.name || item.name RETURNING id, name",
        "INSERT INTO item (id, name) VALUES (1, 'up'), (2, 'up'), (3, 'up'), (4, 'up') ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE item.id > 2",
        "INSERT INTO item (id, name) VALUES (601, 'a'), (602, 'b'), (603, 'c'), (601, 'd'), (604, 'e') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "INSERT INTO item (id, name) VALUES (701, 'a'), (702, 'b'), (703, 'c'), (704, 'd'), (5, 'duplicate')",
        "INSERT INTO item (id, price) VALUES (801, 1), (802, 2), (803, 3), (804, 99999)",
        "INSERT INTO item (id, name) VALUES (901, 'a'), (NULL, 'b'), (902, 'c'), (903, 'd')",
        "INSERT INTO item (id, name) VALUES (901, 'a'), ('nonsense', 'b'), (902, 'c'), (903, 'd')",
        "INSERT INTO item (id, nope) VALUES (901, 'a'), (902, 'b'), (903, 'c'), (904, 'd')",
        "INSERT INTO item (id, name) VALUES (901, 'a'), (902, 'b'), (903, generate_series(1, 2)::text), (904, 'd')",
        "INSERT INTO item (id, name, city) VALUES (911, 'a', (SELECT max(name) FROM city)), (912, 'b', (SELECT country FROM city WHERE name = 'Oslo')), (913, 'c', NULL), (914, 'd', 'x')",
        "WITH c AS (SELECT 'from with' AS v) INSERT INTO item (id, name) VALUES (921, (SELECT v FROM c)), (922, 'b'), (923, 'c'), (924, (SELECT v FROM c))",
        "INSERT INTO stamp VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3), (4, 'w', 4), (5, 'q', 5), (-1, 'ä''ö', 6) RETURNING a, b",
        "INSERT INTO item (id, name) VALUES (abs(-1001), 'one') RETURNING id, name",
        "INSERT INTO item (name, id) VALUES ('a', 1000 + 1), ('b', 1002), ('c', (SELECT max(people) FROM city) * 101), ('d', length('(,)')+ 1000), ('e', CASE WHEN true THEN 1007 END) RETURNING id, name",
        "INSERT INTO item (id, name) VALUES (1 / (SELECT 0), 'fails')",
        "INSERT INTO item (id, name) VALUES (nullif(1, 1), 'no key'), (1001, 'b')",
        "INSERT INTO stamp (a, b, n) VALUES (5 * 5, upper('x''y\\'), 1), (6, md5('b'), 2) ON CONFLICT (a, b) DO NOTHING RETURNING a, b",
        "INSERT INTO \"item\" (\"id\", \"name\") VALUES (931, 'a'), (932, 'b'), (933, 'c'), (934, 'd');",
    ];

    [TestCaseSource(nameof(Statements))]
    public Task IsWhatOnePostgresDoes(string sql) => SameAsync(sql);

    [Test]
    public async Task ParametersReachTheirRows()
    {
        await SameAsync("INSERT INTO item (id, name, price) VALUES ($1, $2, 1), ($3, $4, $5), (103, $2, $5), ($6, 'x', NULL) RETURNING id, name, price", "101", "a", "102", "b", "7.25", "104");
        await SameAsync("INSERT INTO item (id, name, price) VALUES ($1::int + $2::int, $3, 1), ($2, $3, 2) RETURNING id, name", "1000", "500", "computed");
        await SameAsync("INSERT INTO item (id, changed) VALUES ($1, $5), ($2, NULL), ($3, NULL), ($4, $5)", "201", "202", "203", "204", "2024-05-05 05:05+00");
        await SameAsync("INSERT INTO stamp (b, a, n) VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9) ON CONFLICT (a, b) DO UPDATE SET n = excluded.n + 1", "b1", "1", "1", "y", "2", "2", "b3", "3", "3");
    }

    [Test]
    public async Task BinaryParametersReachTheirRows()
    {
        await using var connection = await Proxy.Source.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "INSERT INTO item (id, name, price, changed) VALUES " + string.Join(", ", Enumerable.Range(0, 50).Select(i => string.Create(CultureInfo.InvariantCulture, $"(${(3 * i) + 1}, ${(3 * i) + 2}, ${(3 * i) + 3}, now())"))) + " RETURNING id";
        for (var i = 0; i < 50; i++)
        {
            command.Parameters.Add(new() { Value = 1000 + i });
            command.Parameters.Add(new() { Value = "name" + i });
            command.Parameters.Add(new() { Value = 0.5m + i });
        }

        var ids = new List<int>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                ids.Add(reader.GetInt32(0));
            }
        }

        Assert.That(ids, Is.EqualTo(Enumerable.Range(1000, 50)));
        command.CommandText = "SELECT count(*), count(DISTINCT changed), sum(price)::text FROM item WHERE id >= 1000 AND name = 'name' || (id - 1000)";
        command.Parameters.Clear();
        await using var sums = await command.ExecuteReaderAsync();
        await sums.ReadAsync();
        Assert.That((sums.GetInt64(0), sums.GetInt64(1), sums.GetString(2)), Is.EqualTo((50L, 1L, "1250.00")), "one statement is one moment");
    }

    [TestCase("INSERT INTO item (id, name) VALUES (1, 'a'), (2.5 * 2, 'b'), (3, 'c')", "SHP-206")]
    [TestCase("INSERT INTO item (id, name) VALUES (10.5 * 100, 'a number')", "SHP-206")]
    [TestCase("INSERT INTO item (id, name) VALUES (extract(year from now())::int, 'b')", "SHP-206")]
    [TestCase("INSERT INTO item (id, changed) VALUES (101, 'now'), (102, 'now'), (103, 'now'), (104, 'now')", "SHP-226")]
    [TestCase("INSERT INTO item (id, name) VALUES (101, (SELECT name FROM item WHERE id = 1)), (102, 'b'), (103, 'c'), (104, 'd')", "SHP-202")]
    public async Task WhatIsNotSureIsRefused(string sql, string code)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo(code));
        await SameRowsAsync(sql);
    }
}
