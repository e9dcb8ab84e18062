using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects statements over several nodes: their answers are those of one PostgreSQL that has all the rows, in both protocols, outside blocks and inside
/// them, where they see the block's own writes; and nothing of them is left behind.
/// </summary>
[TestFixture]
internal sealed class GatherTests : DataPathFixture
{
    private const string Twin = "twin";
    private const int Customers = 60;

    protected override Placement Tables { get; } = new Placement()
        .Sharded("customer", "id int4, name text, city text, credit numeric, since date, tags _text, born timestamptz", "id")
        .Sharded("orders", "id int4, customer_id int4, amount numeric, note text, placed timestamp", "customer_id")
        .Sharded("events", "id int8, kind text, payload jsonb, score float8", "id")
        .Replicated("city", "name text, country text, people int4");

    protected override string Ddl => Schema("public");

    protected override string HomeDdl => $"CREATE SCHEMA {Twin}; {Schema(Twin)} CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain SELECT i, 'v' || i FROM generate_series(1, 5) i; CREATE SEQUENCE drawn START 7000;";

    private static string Schema(string schema) => $"""
        CREATE TABLE {schema}.customer (id int PRIMARY KEY, name text NOT NULL, city text, credit numeric(12,2), since date, tags text[], born timestamptz);
        CREATE TABLE {schema}.orders (id int, customer_id int NOT NULL, amount numeric(10,2), note text, placed timestamp, PRIMARY KEY (customer_id, id));
        CREATE TABLE {schema}.events (id bigint PRIMARY KEY, kind text, payload jsonb, score float8);
        CREATE TABLE {schema}.city (name text PRIMARY KEY, country text, people int);
        """;

    [OneTimeSetUp]
    public async Task FillAsync()
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        string[] cities = ["Rome", "Oslo", "Bern", "Ur"];
        foreach (var client in new[] { proxy, direct })
        {
            await Must(client, "INSERT INTO city VALUES ('Rome', 'IT', 3), ('Oslo', 'NO', 1), ('Bern', 'CH', NULL), ('Lima', 'PE', 10)");
            for (var i = 1; i <= Customers; i++)
            {
                var city = i % 7 == 0 ? "NULL" : $"'{cities[i % 4]}'";
                await Must(client, $"INSERT INTO customer VALUES ({i}, 'c{i % 23}', {city}, {i * 7 % 50}.{i % 10}0, date '2020-01-01' + {i}, ARRAY['t{i % 3}', 'x\\y{i}'], timestamptz '2000-01-01 00:00+00' + interval '{i} days')");
                await Must(client, $"INSERT INTO events VALUES ({i * 1_000_003L}, 'k{i % 4}', '{{\"a\": {i}, \"b\": [1, {i % 5}]}}', {i} / 3.0)");
                for (var o = 0; o < i % 4; o++)
                {
                    await Must(client, $"INSERT INTO orders VALUES ({o}, {i}, {i * (o + 1) % 97}.25, {(o == 1 ? "NULL" : $"'n{o}\tline\nend'")}, timestamp '2024-02-28 12:00' + interval '{i} hours')");
                }
            }
        }
    }

    private static readonly string[] Queries =
    [
        "SELECT * FROM customer",
        "SELECT * FROM customer ORDER BY id DESC LIMIT 5 OFFSET 3",
        "SELECT id, name FROM customer WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)",
        "SELECT id FROM customer WHERE id = ANY (ARRAY[9, 10, 11, 12])",
        "SELECT id FROM customer WHERE id BETWEEN 10 AND 20 AND name LIKE 'c1%'",
        "SELECT DISTINCT city FROM customer",
        "SELECT DISTINCT ON (city) city, id, name FROM customer ORDER BY city NULLS FIRST, id DESC",
        "SELECT city, count(*), sum(credit), avg(credit), min(since), max(born) FROM customer GROUP BY city",
        "SELECT city, count(*) FILTER (WHERE credit > 20) AS rich FROM customer GROUP BY city HAVING count(*) > 10 ORDER BY rich, city",
        "SELECT count(DISTINCT name), count(DISTINCT city), bool_and(credit > 0), bit_or(id) FROM customer",
        "SELECT string_agg(name, '|' ORDER BY id), array_agg(id ORDER BY id DESC) FROM customer WHERE id < 12",
        "SELECT stddev(credit), variance(credit), round(corr(id, credit)::numeric, 12), round(regr_slope(credit, id)::numeric, 12) FROM customer",
        "SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY credit), mode() WITHIN GROUP (ORDER BY city) FROM customer",
        "SELECT city, name, count(*) FROM customer GROUP BY GROUPING SETS ((city), (name), ())",
        "SELECT city, grouping(city), sum(credit) FROM customer GROUP BY ROLLUP (city)",
        "SELECT max(name), min(name) FROM customer",
        "SELECT avg(credit), avg(id), count(city), sum(id), bool_or(id > 5) FROM customer WHERE id > 1000",
        "SELECT city AS c, avg(id) AS a, count(*) FROM customer GROUP BY city ORDER BY c DESC NULLS LAST",
        "SELECT city, count(*) FROM customer GROUP BY 1 ORDER BY 2 DESC, 1",
        "SELECT upper(city) || '!', count(*) + 1, sum(credit) / count(*) FROM customer GROUP BY city HAVING avg(credit) > 20 ORDER BY city",
        "SELECT name, city, max(since) FROM customer GROUP BY name, city ORDER BY city, name LIMIT 7 OFFSET 2",
        "SELECT id % 5 AS r, count(*) FROM customer GROUP BY id % 5 ORDER BY r",
        "SELECT city AS name, name AS city, count(*) FROM customer GROUP BY name, city",
        "SELECT c.city, count(o.id), sum(o.amount) FROM customer c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.city ORDER BY c.city",
        "SELECT y.country, avg(o.amount) FROM customer c JOIN orders o ON o.customer_id = c.id JOIN city y ON y.name = c.city GROUP BY y.country ORDER BY 1",
        "SELECT y.country, count(c.id) FROM city y LEFT JOIN customer c ON y.name = c.city GROUP BY y.country ORDER BY 1",
        "SELECT id::text FROM customer ORDER BY id LIMIT 5",
        "SELECT id::text, name FROM customer ORDER BY name, id LIMIT 5",
        "SELECT upper(name) AS upper FROM customer ORDER BY upper, id LIMIT 4",
        "SELECT *, credit * 2 AS twice FROM customer ORDER BY twice DESC, id LIMIT 3 OFFSET 1",
        "SELECT c.id, o.id FROM customer c JOIN orders o ON o.customer_id = c.id ORDER BY o.placed DESC, c.id, o.id LIMIT 4",
        "SELECT name FROM customer ORDER BY length(name) DESC, id LIMIT 4",
        "SELECT DISTINCT city, name FROM customer ORDER BY city, name DESC",
        "SELECT DISTINCT upper(city) AS u FROM customer ORDER BY u LIMIT 2",
        "SELECT DISTINCT id % 3 FROM customer ORDER BY 1",
        "SELECT count(*) FROM customer c JOIN orders o ON o.customer_id = c.id",
        "SELECT every(credit > 0), bit_and(id), max(credit) FILTER (WHERE city = 'Rome') FROM customer HAVING count(*) > 3",
        "SELECT 1 FROM customer HAVING count(*) > 3",
        "SELECT round(avg(score)::numeric, 9), sum(score)::int, count(*) FROM events GROUP BY kind ORDER BY count(*), kind",
        "SELECT kind, avg(score)::numeric(10,4) FROM events GROUP BY kind ORDER BY avg(id)",
        "SELECT customer.city FROM customer GROUP BY customer.city ORDER BY customer.city",
        "SELECT city c FROM customer GROUP BY c ORDER BY c",
        "SELECT avg(score), sum(score) FROM events WHERE kind = 'k1'",
        "SELECT id, rank() OVER (PARTITION BY city ORDER BY credit DESC, id), lag(id) OVER (ORDER BY id) FROM customer",
        "SELECT id, sum(credit) OVER w FROM customer WINDOW w AS (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
        "SELECT c.id, o.id, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id",
        "SELECT c.id, o.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id AND o.amount > 50 WHERE o.id IS NULL",
        "SELECT c.id, o.id FROM orders o RIGHT JOIN customer c ON o.customer_id = c.id AND c.city = 'Oslo'",
        "SELECT c.id, o.customer_id FROM customer c FULL JOIN orders o ON o.customer_id = c.id + 50",
        "SELECT a.id, b.id FROM customer a, customer b WHERE a.id = b.id + 30 AND a.credit > 10",
        "SELECT c.name, e.kind FROM customer c JOIN events e ON e.id = c.id * 1000003 WHERE e.score > 10",
        "SELECT c.id, p.v FROM customer c JOIN plain p USING (id)",
        "SELECT c.id, city.country FROM customer c LEFT JOIN city ON city.name = c.city WHERE city.people IS NULL",
        "SELECT * FROM customer NATURAL JOIN plain",
        "SELECT customer FROM customer WHERE id < 3",
        "SELECT row_to_json(customer), customer.name FROM customer WHERE id < 3",
        "SELECT (c).name, c.* FROM customer AS c WHERE c.id < 3",
        "SELECT j FROM (customer c JOIN orders o ON o.customer_id = c.id) AS j WHERE j.name = 'c4'",
        "SELECT row_to_json(j) FROM (customer c LEFT JOIN events e ON e.id = c.id) AS j",
        "SELECT x, y FROM (customer c JOIN orders o ON o.customer_id = c.id + 1) AS j (x, y)",
        "SELECT x, y FROM customer AS c (x, y) WHERE x < 5",
        "SELECT c.id, l.s FROM customer c, LATERAL (SELECT sum(o.amount) AS s FROM orders o WHERE o.customer_id = c.id) l",
        "SELECT id FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.amount > 40)",
        "SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders)",
        "SELECT id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customer c",
        "SELECT id FROM customer WHERE credit > (SELECT avg(credit) FROM customer)",
        "SELECT id FROM customer WHERE credit = ALL (SELECT max(credit) FROM customer)",
        "WITH big AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) SELECT c.name, b.total FROM big b JOIN customer c ON c.id = b.customer_id WHERE b.total > 60",
        "WITH RECURSIVE chain (id, depth) AS (SELECT 1, 0 UNION ALL SELECT c.id, depth + 1 FROM chain JOIN customer c ON c.id = chain.id * 2) SELECT * FROM chain",
        "SELECT id FROM customer WHERE id < 10 UNION SELECT customer_id FROM orders WHERE amount > 80",
        "SELECT city FROM customer INTERSECT SELECT name FROM city",
        "SELECT name FROM city EXCEPT ALL SELECT city FROM customer",
        "(SELECT id FROM customer ORDER BY credit DESC, id LIMIT 3) UNION ALL (SELECT id FROM customer ORDER BY credit, id LIMIT 3)",
        "SELECT kind, jsonb_agg(payload -> 'a' ORDER BY id) FROM events GROUP BY kind",
        "SELECT id, elem FROM events, jsonb_array_elements(payload -> 'b') AS elem WHERE id < 9000000",
        "SELECT payload ->> 'a' FROM events WHERE payload @> '{\"b\": [3]}'",
        "SELECT unnest(tags), count(*) FROM customer GROUP BY 1",
        "SELECT id FROM customer WHERE 't1' = ANY (tags) AND tags[1] <> 'x'",
        "SELECT date_trunc('month', since) AS m, count(*) FROM customer GROUP BY m",
        "SELECT extract(dow FROM since), CASE WHEN credit > 25 THEN 'high' WHEN credit IS NULL THEN 'none' ELSE 'low' END AS level, count(*) FROM customer GROUP BY 1, level",
        "SELECT customer.id, customer.name, customer.city FROM customer JOIN orders ON orders.customer_id = customer.id GROUP BY customer.id HAVING sum(orders.amount) > 90",
        "SELECT note, placed FROM orders WHERE note IS NOT NULL AND placed > '2024-03-01'",
        "SELECT coalesce(city, '?'), greatest(id, 30), nullif(id, 7) FROM customer WHERE (id < 9 OR id > 55) AND NOT (id = 3)",
        "SELECT id FROM customer WHERE city IS NULL",
        "SELECT id FROM customer WHERE (city, name) IN (('Rome', 'c4'), ('Oslo', 'c5'))",
        "SELECT id FROM customer WHERE (id, name) > (50, 'c')",
        "SELECT count(*) FROM customer TABLESAMPLE BERNOULLI (100) WHERE false OR id = 5",
        "SELECT v FROM (VALUES (1, 'a'), (2, 'b')) AS t (id, v) JOIN customer USING (id)",
        "SELECT g, (SELECT name FROM customer WHERE id = g) FROM generate_series(1, 3) g",
        "SELECT id -- a comment\n FROM customer -- another\n WHERE id > 57 -- the last",
        "SELECT \"customer\".\"id\" FROM \"customer\" WHERE \"customer\".\"id\" > 58",
        "SELECT id FROM customer WHERE name = 'c''5' OR name = E'c\\x35'",
        "SELECT id FROM ONLY customer WHERE id > 58",
        "SELECT count(*) FROM customer c1 CROSS JOIN customer c2 WHERE c1.city = c2.city",
        "SELECT pg_typeof(credit), count(*) FROM customer GROUP BY 1",
        "TABLE city UNION TABLE city",
        "SELECT FROM customer WHERE id < 4",
        "SELECT 1 FROM customer WHERE id > 1000",
        "SELECT nope FROM customer",
        "SELECT id FROM customer GROUP BY name",
        "SELECT 1 / (id - 5) FROM customer ORDER BY id",
        "SELECT (SELECT id FROM customer)",
    ];

    [TestCaseSource(nameof(Queries))]
    public async Task IsWhatOnePostgresAnswers(string sql)
    {
        if (sql.Contains("TABLESAMPLE", StringComparison.Ordinal))
        {
            using var refused = await Proxy.LoginAsync();
            Assert.That((await refused.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo("SHP-210"));
            return;
        }

        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        var expected = Describe(await direct.QueryAsync(sql), sql);
        Assert.That(Describe(await proxy.QueryAsync(sql), sql), Is.EqualTo(expected), "simple protocol");
        Assert.That(Describe(await proxy.ExecuteAsync(sql), sql), Is.EqualTo(Describe(await direct.ExecuteAsync(sql), sql)), "extended protocol");

        // In a block that has written on every node: the block's own rows are seen, and it can still commit in two phases.
        foreach (var client in new[] { proxy, direct })
        {
            await Must(client, "BEGIN");
            foreach (var id in new[] { 1001, 1002, 1003, 1004 })
            {
                await Must(client, $"INSERT INTO customer (id, name, city, credit) VALUES ({id}, 'new', 'Rome', 12.5)");
                await Must(client, $"INSERT INTO orders (id, customer_id, amount) VALUES (1, {id}, 99)");
            }

            await Must(client, "DELETE FROM customer WHERE id = 6");
        }

        Assert.That(Describe(await proxy.QueryAsync(sql), sql), Is.EqualTo(Describe(await direct.QueryAsync(sql), sql)), "in a block");
        foreach (var client in new[] { proxy, direct })
        {
            await Must(client, "ROLLBACK");
        }

        Assert.That(await OnEachNodeAsync("SELECT relname FROM pg_class WHERE relname LIKE 'shardproxy_gather%'"), Is.All.Empty);
    }

    [Test]
    public async Task ParametersOfEveryKindFilterOnTheNodes()
    {
        using var proxy = await Proxy.LoginAsync();
        using var direct = await TwinAsync();
        (string Sql, string?[] Values)[] calls =
        [
            ("SELECT id FROM customer WHERE city = $1 ORDER BY id", ["Rome"]),
            ("SELECT id FROM customer WHERE credit > $1 AND since < $2 ORDER BY id", ["10.5", "2020-02-10"]),
            ("SELECT id FROM customer WHERE name = $1 OR $2::int = id ORDER BY id", ["it's \\ $1", "7"]),
            ("SELECT id FROM customer WHERE city = $1", [null]),
            ("SELECT $1::text, count(*) FROM customer WHERE id = ANY ($2::int[])", ["x", "{1,2,3,4,5}"]),
            ("SELECT id FROM customer WHERE id > $1 ORDER BY id LIMIT $2", ["10", "4"]),
        ];
        foreach (var (sql, values) in calls)
        {
            Assert.That(Describe(await proxy.ExecuteAsync(sql, values), sql), Is.EqualTo(Describe(await direct.ExecuteAsync(sql, values), sql)), sql);
        }
    }

    [Test]
    public async Task ABlockThatHasGatheredCommitsOnAllNodes()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        for (var id = 2001; id <= 2006; id++)
        {
            await Must(client, $"INSERT INTO events VALUES ({id}, 'block', '1', 1)");
        }

        Assert.That((await client.QueryAsync("SELECT count(*), now() = transaction_timestamp() FROM events WHERE kind = 'block' GROUP BY kind")).Rows.Single(), Is.EqualTo(new[] { "6", "t" }));
        await Must(client, "COMMIT");
        Assert.That((await client.QueryAsync("SELECT sum(score) FROM events WHERE kind = 'block'")).Rows.Single().Single(), Is.EqualTo("6"));
        for (var id = 2001; id <= 2006; id++)
        {
            await Must(client, $"DELETE FROM events WHERE id = {id}");
        }
    }

    // The rows are brought together by a server beside the block's own, which cannot be let in: it waited for its own session for ever.
    [TestCase("SELECT customer_id FROM orders ORDER BY 1 LIMIT 3")]
    [TestCase("SELECT c.id, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id + 1")]
    public async Task ATableThatItsOwnBlockHasLockedIsNotWaitedFor(string sql)
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        await Must(client, "TRUNCATE orders");
        var reply = await client.QueryAsync(sql);
        Assert.That((reply.SqlState, reply.Errors[0].Field('D'), reply.Status), Is.EqualTo(("0A000", "SHP-225", 'E')));
        await Must(client, "ROLLBACK");
        Assert.That((await client.QueryAsync(sql)).Rows, Is.Not.Empty);
    }

    [Test]
    public async Task TheTimeIsTheBlocksOwn()
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, "BEGIN");
        var began = (await client.QueryAsync("SELECT now()")).Rows.Single().Single();
        await Must(client, "SELECT pg_sleep(0.02)");
        Assert.That((await client.QueryAsync("SELECT DISTINCT now(), current_timestamp FROM events")).Rows.Single(), Is.EqualTo(new[] { began, began }));
        Assert.That((await client.QueryAsync("SELECT max(id) FROM events WHERE 'now'::timestamptz > now() - interval '1 day' GROUP BY ()")).Errors.Single().Field('D'), Is.EqualTo("SHP-226"));
        await Must(client, "ROLLBACK");
    }

    /// <summary>The server that finishes the statement goes away, also beside a block: the client is told, and no connection is counted twice or lost.</summary>
    [TestCase(false, "SELECT count(*) FROM customer a, customer b, customer c, customer d, city")]
    [TestCase(true, "SELECT count(*) FROM customer a, customer b, customer c, customer d, city")]
    [TestCase(false, "SELECT a.city, count(*) FROM customer a, city b, city c, city d, city e, city f, city g, city h, city i, city j GROUP BY a.city")]
    public async Task AServerThatEndsInTheMiddle(bool inBlock, string sql)
    {
        using var client = await Proxy.LoginAsync();
        await Must(client, inBlock ? "BEGIN" : "SELECT 1");
        var reply = client.QueryAsync(sql);
        while (!reply.IsCompleted)
        {
            await DirectAsync(0, $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{Database}' AND pid <> pg_backend_pid() AND state = 'active' AND now() - query_start > interval '100 ms'");
        }

        Assert.That((await reply).SqlState, Is.EqualTo("57P01").Or.EqualTo("08006"));
        if ((await reply).Status is not null)
        {
            await Must(client, "ROLLBACK");
            Assert.That((await client.QueryAsync("SELECT count(*) FROM city")).Errors, Is.Empty);
        }

        using var next = await Proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SELECT count(*) FROM customer")).Rows.Single().Single(), Is.EqualTo("60"));
        Assert.That(Proxy.Plane.Pools().Select(p => p.Idle + p.Leased), Is.All.InRange(0, 20));
        Assert.That(Proxy.Plane.Pools().Where(p => p.IsWorkspace).Select(p => p.Leased), Is.All.Zero);
    }

    [Test]
    public async Task WhatItGathersIsBounded()
    {
        await using var narrow = await ProxyUnderTest.StartAsync(Cluster, Database, Tables, o => o with { GatherMaxRows = 20, GatherMaxBytes = 4096 });
        using var client = await narrow.LoginAsync();
        foreach (var block in new[] { false, true })
        {
            await Must(client, block ? "BEGIN" : "SELECT 1");
            var reply = await client.QueryAsync("SELECT id FROM customer ORDER BY id");
            Assert.That((reply.SqlState, reply.Errors.Single().Field('D')), Is.EqualTo(("54000", "SHP-411")), reply.ToString());
            await Must(client, "ROLLBACK");
            Assert.That((await client.QueryAsync("SELECT sum(length(note)) FROM (SELECT string_agg(repeat(note, 500), '') AS note FROM orders WHERE customer_id < 4) o")).Rows.Single().Single(), Is.Not.Null);
        }
    }

    // The home node alone has every table; the block may have begun on another.
    [Test]
    public async Task AStatementIsDescribedWhereItsTablesAre()
    {
        using var client = await Proxy.LoginAsync();
        for (var id = 1; id <= 6; id++)
        {
            await Must(client, "BEGIN");
            await Must(client, $"UPDATE customer SET credit = 1 WHERE id = {id}");
            var reply = await client.ExecuteAsync("SELECT count(*) FROM customer JOIN plain USING (id) WHERE v <> $1", "x");
            Assert.That(reply.Rows.SingleOrDefault()?.Single(), Is.EqualTo("5"), reply.ToString());
            await client.SendAsync(Frontend.Parse("SELECT v FROM plain WHERE id = $1", "p"), Frontend.DescribeStatement("p"), Frontend.CloseStatement("p"), Frontend.Sync());
            Assert.That((await client.ReadUntilReadyAsync()).Types, Is.EqualTo("1tT3Z"));
            reply = await client.ExecuteAsync("INSERT INTO customer (id, name) VALUES (nextval('drawn'), $1) RETURNING name", "drawn");
            Assert.That((reply.SqlState, string.Concat(reply.Tags)), Is.EqualTo(((string?)null, "INSERT 0 1")), reply.ToString());
            await Must(client, "ROLLBACK");
        }
    }

    // Values go from node to node as text.
    [TestCase("SET extra_float_digits = 0")]
    [TestCase("SET extra_float_digits TO '-3'")]
    [TestCase("BEGIN; SET LOCAL extra_float_digits = 0")]
    [TestCase("SET DateStyle = 'SQL, DMY'")]
    [TestCase("BEGIN; SET LOCAL DateStyle = 'German'")]
    public async Task RowsAreNotGatheredInexactly(string setting)
    {
        const string Sql = "SELECT count(DISTINCT score), max(kind) FROM events WHERE id IN (SELECT id * 1000003 FROM customer)";
        using var client = await Proxy.LoginAsync();
        foreach (var part in setting.Split("; "))
        {
            await Must(client, part);
        }

        Assert.That((await client.QueryAsync(Sql)).Errors.SingleOrDefault()?.Field('D'), Is.EqualTo("SHP-225"));
        await Must(client, "ROLLBACK");
        await Must(client, "SET extra_float_digits = 3");
        await Must(client, "SET DateStyle = 'ISO, DMY'");
        await Must(client, Sql);
    }

    [TestCase("SELECT coalesce(x, y) FROM customer x, customer y")]
    [TestCase("SELECT ctid FROM customer")]
    [TestCase("SELECT lastval(), id FROM customer")]
    [TestCase("SELECT set_config('a.b', 'x', false) FROM customer")]
    [TestCase("SELECT pg_advisory_lock(id) FROM customer")]
    [TestCase("SELECT id FROM customer LIMIT 2 FOR UPDATE")]
    [TestCase("SELECT query_to_xml('SELECT 1 FROM customer', true, true, '') FROM customer")]
    [TestCase("SELECT public.customer.id FROM public.customer")]
    [TestCase("SELECT pg_typeof(c) FROM customer c")]
    public async Task WhatIsNotSureIsRefused(string sql)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).SqlState, Is.EqualTo("0A000"));
    }

    private async Task<ScriptedClient> TwinAsync() => await DirectLoginAsync(0, ("search_path", $"{Twin}, public"));

    private static async Task Must(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, sql + reply);
    }

    // Rows without an order of their own may come in any.
    private static string Describe(Transcript reply, string sql)
    {
        if (reply.Errors.Count > 0)
        {
            return $"{reply.SqlState} {reply.Errors[0].Field('M')}";
        }

        var rows = reply.Rows.Select(r => string.Join(" | ", r.Select(v => v ?? "NULL")));
        var isOrdered = sql.Contains("ORDER BY", StringComparison.Ordinal) && !sql.Contains("OVER", StringComparison.Ordinal) && !sql.Contains("agg(", StringComparison.Ordinal);
        return $"{string.Join(", ", reply.Columns)}\n{string.Join('\n', isOrdered ? rows : rows.Order(StringComparer.Ordinal))}\n{string.Join(' ', reply.Tags)} {reply.Status}";
    }
}
