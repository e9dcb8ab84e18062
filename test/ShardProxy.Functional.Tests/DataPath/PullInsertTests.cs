using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects INSERT … SELECT into sharded tables: the rows one PostgreSQL would store, each once and on its owner, with the values an assignment gives.</summary>
[TestFixture]
internal sealed class PullInsertTests : WriteFixture
{
    private static IEnumerable<string> Statements() =>
    [
        "INSERT INTO item SELECT g, 'g' || g, NULL, g / 3.0 FROM generate_series(101, 1900) g",
        "INSERT INTO item (id, name) SELECT g, E'tab\\t, back\\\\slash, \\nline \\\\N' || g FROM generate_series(101, 120) AS g;",
        "INSERT INTO item (price, id) (SELECT 1.239 + g, g FROM generate_series(101, 110) g ORDER BY 1 DESC LIMIT 6)",
        "INSERT INTO item (id, name, price, city) SELECT 100.6 + g, g > 3, '7', NULL FROM generate_series(1, 6) g",
        "INSERT INTO item (id, changed, name) SELECT g, '2024-02-03', DATE '2024-05-06' FROM generate_series(101, 110) g -- the end",
        "INSERT INTO item (id, name, city) SELECT 100 + p.id, p.v, c.country FROM plain p LEFT JOIN city c ON c.people = p.id",
        "INSERT INTO item (id, name) SELECT 200 + row_number() OVER (ORDER BY name), upper(name) FROM city",
        "INSERT INTO item (id, name) WITH s AS (SELECT name FROM city) SELECT length(name) * 1000 + ascii(name), name FROM s",
        "INSERT INTO item (id) SELECT id + 1000 FROM item",
        "INSERT INTO item AS t (id, name, price) SELECT i.id + 100, p.label, i.price FROM item i JOIN part p ON p.item_id = i.id WHERE p.no = 0 AND i.price < 20",
        "INSERT INTO part SELECT id, 9, name FROM item WHERE id = 7",
        "INSERT INTO stamp (n, b, a) SELECT id, name || 'é', id * 10 FROM item",
        "INSERT INTO part (item_id, no) TABLE none",
        "INSERT INTO item (id, name) SELECT g, 'x' FROM generate_series(20, 30) g",
        "INSERT INTO item (id, price) SELECT g, g * 77 FROM generate_series(101, 130) g",
        "INSERT INTO item (id, name) SELECT NULLIF(g, 105), 'x' FROM generate_series(101, 110) g",
        "INSERT INTO item (id, price) SELECT g, 'text'::text FROM generate_series(101, 110) g",
        "INSERT INTO item (id, name) SELECT 1",
        "INSERT INTO item (id, nope) SELECT 1, 2",
        "INSERT INTO item (id, price) SELECT g, 1 / (g - 105) FROM generate_series(101, 110) g",
        "INSERT INTO item SELECT 100 WHERE false",
        "INSERT INTO item (id) SELECT max(id) + 1 FROM item",
        "INSERT INTO item (id, name, price) SELECT 1000 + count(*), name, avg(price) FROM item GROUP BY name",
        "INSERT INTO item (id, name) SELECT id + 100, row_number() OVER (ORDER BY id DESC)::text FROM item ORDER BY id LIMIT 7",
        "INSERT INTO item (id, name) SELECT 200 + p.no, i.name FROM item i JOIN part p ON p.no = i.id",
        "INSERT INTO item (id, name) SELECT id, 'again' FROM item ON CONFLICT DO NOTHING",
        "INSERT INTO item AS t (id, name) SELECT id + 20, 'up' FROM item ON CONFLICT (id) DO UPDATE SET name = excluded.name || t.name, price = t.price + 1",
        "INSERT INTO item (id, name) SELECT g, 'x' FROM generate_series(20, 30) g ON CONFLICT (id) DO UPDATE SET name = 'kept' WHERE item.id % 2 = 0 RETURNING id, name, price;",
        "INSERT INTO item AS t (id, name) SELECT id + 100, name FROM item WHERE id < 9 RETURNING t.id, t.*, t.price IS NULL AS empty",
        "INSERT INTO item (id, name) SELECT id + 100, name FROM item WHERE false RETURNING id",
        "INSERT INTO item (id, name) SELECT 7, 'twice' FROM generate_series(1, 2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "INSERT INTO item (id) SELECT g FROM generate_series(24, 40) g RETURNING id",
        "WITH w AS (SELECT id + 100 AS i, name AS n FROM item) INSERT INTO item (id, name) SELECT i, n FROM w WHERE n <> 'n1'",
        "WITH w (i) AS (VALUES (301), (302), (303)) INSERT INTO public.item (id, name) SELECT i, 'from with' FROM w ON CONFLICT DO NOTHING",
        "INSERT INTO item (id, name) SELECT i.id + 100, j.name FROM item i JOIN item j ON i.name = j.name AND j.id = i.id ON CONFLICT DO NOTHING",
        "INSERT INTO item (id, name) OVERRIDING SYSTEM VALUE SELECT 100, 'o'",
        "INSERT INTO item (id, name) (SELECT 100, 'x') UNION ALL (SELECT id + 200, name FROM item)",
        "INSERT INTO item (id, changed) SELECT id + 100, changed + '1 day' FROM item WHERE changed < now()",
    ];

    [TestCaseSource(nameof(Statements))]
    public Task IsWhatOnePostgresDoes(string sql) => SameAsync(sql);

    [Test]
    public async Task ParametersKeepTheirTypes()
    {
        await SameAsync("INSERT INTO item (id, name, price) SELECT g + $1, $2, $3 FROM generate_series(1, $4) g", "100", "it's \\ $1", "7.25", "30");
        await SameAsync("INSERT INTO item (id, name) SELECT max(id) + $1, $2 FROM item ON CONFLICT (id) DO UPDATE SET name = $2 RETURNING id, name, $3::text", "1", "param", "back");
        await SameAsync("INSERT INTO item (id, changed) SELECT id + 100, $1 FROM item WHERE price > $2", "2024-05-05 05:05+00", "9");
    }

    [Test]
    public async Task ManyRowsPassInBoundedMemoryAndOneMoment()
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("INSERT INTO item (id, name, changed) SELECT g, repeat('x', 200), now() FROM generate_series(1001, 21000) g")).Tags, Is.EqualTo(new[] { "INSERT 0 20000" }));
        Assert.That((await client.QueryAsync("SELECT count(*), count(DISTINCT changed) FROM item WHERE id > 1000")).Rows.Single(), Is.EqualTo(new[] { "20000", "1" }));
    }

    [TestCase("extra_float_digits", "0")]
    [TestCase("datestyle", "SQL, DMY")]
    [TestCase("intervalstyle", "sql_standard")]
    public async Task ValuesAreNeverCarriedInATextThatLosesThem(string setting, string value)
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, $"SET {setting} = '{value}'");
        Assert.That((await client.QueryAsync("INSERT INTO item (id) SELECT 101")).Errors.Single().Field('D'), Is.EqualTo("SHP-227"));
        await Must(client, $"RESET {setting}");
        await Must(client, "INSERT INTO item (id) SELECT 101");
    }

    [TestCase("INSERT INTO item (name) SELECT 'x'", "SHP-201")]
    [TestCase("INSERT INTO item (id) SELECT 1000 ON CONFLICT (id) DO UPDATE SET id = 5", "SHP-205")]
    [TestCase("WITH w AS (SELECT 1000 AS i) INSERT INTO item (id) SELECT i FROM w RETURNING (SELECT i FROM w)", "SHP-201")]
    [TestCase("WITH d AS (DELETE FROM part WHERE item_id = 1 RETURNING item_id) INSERT INTO item (id) SELECT item_id + 100 FROM d ON CONFLICT (id) DO UPDATE SET name = (SELECT max(label) FROM part)", "SHP-201")]
    public async Task WhatIsNotSureIsRefused(string sql, string code)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo(code));
        await SameRowsAsync(sql);
    }
}
