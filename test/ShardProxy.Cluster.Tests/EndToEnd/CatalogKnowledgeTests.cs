using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects what a statement does through names that only the catalogs know: views over sharded tables answer as on one PostgreSQL, functions of the user's
// are called where that is sure, and what would read or write one node's rows alone (triggers, rules, function bodies) is refused, also in the block that makes it.
[TestFixture]
internal sealed class CatalogKnowledgeTests
{
    // In schema public the tables are sharded, in schema twin they are not.
    private const string Schema = """
        CREATE TABLE @.item (id bigint PRIMARY KEY, name text, price numeric(8,2), city text);
        CREATE TABLE @.part (item_id bigint NOT NULL, no int NOT NULL, label text, PRIMARY KEY (item_id, no));
        CREATE TABLE @.city (name text PRIMARY KEY, country text);
        CREATE TABLE @.plain (id bigint PRIMARY KEY, v text);
        CREATE VIEW @.cheap AS SELECT id, name, price * 2 AS "Double" FROM @.item WHERE price < 20;
        CREATE VIEW @.named (a, b) AS SELECT i.id, i.name || '; ' || 'x' FROM @.item i;
        CREATE VIEW @.counted AS SELECT city, count(*) AS n, sum(price) AS total FROM @.item GROUP BY city;
        CREATE VIEW @.deep AS SELECT c.id, p.label, c."Double" FROM @.cheap c JOIN @.part p ON p.item_id = c.id;
        CREATE VIEW @.mixed AS SELECT i.id, p.v, c.country FROM @.item i LEFT JOIN @.plain p USING (id) LEFT JOIN @.city c ON c.name = i.city;
        CREATE VIEW @.guarded WITH (security_barrier) AS SELECT * FROM @.item WHERE id > 3;
        CREATE VIEW @.unioned AS SELECT id, 'item' AS kind FROM @.item UNION ALL SELECT item_id, 'part' FROM @.part ORDER BY 1, 2 LIMIT 30;
        CREATE VIEW @.alone AS SELECT id, v FROM @.plain;
        """;

    private const string Functions = """
        CREATE FUNCTION twice(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
        CREATE FUNCTION label(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN upper(t) || twice(1); END $$;
        CREATE FUNCTION looks_up(k bigint) RETURNS text LANGUAGE sql STABLE AS 'SELECT v FROM plain WHERE id = k';
        CREATE FUNCTION claims(k bigint) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT v FROM plain WHERE id = k';
        CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
        CREATE FUNCTION keep_last(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
        CREATE AGGREGATE greatest_of(text) (SFUNC = keep_last, STYPE = text);
        CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()';
        CREATE FUNCTION sharded_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM item';
        CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO item VALUES (NEW.id + 1000, 'logged'); RETURN NEW; END $$;
        CREATE VIEW of_function AS SELECT sharded_count() AS n;
        CREATE TABLE logged (id bigint PRIMARY KEY); CREATE TRIGGER logs AFTER INSERT ON logged FOR EACH ROW EXECUTE FUNCTION logs();
        CREATE TABLE checked (id bigint PRIMARY KEY CHECK (sharded_count() > id));
        CREATE TABLE ruled (id bigint PRIMARY KEY); CREATE RULE twice AS ON INSERT TO ruled DO ALSO INSERT INTO item VALUES (NEW.id, 'ruled');
        """;

    private ProxyProcess _proxy = null!;
    private NpgsqlConnectionStringBuilder _login = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 });
        _login = new NpgsqlConnectionStringBuilder(_proxy.ConnectionString());
        using var client = await LoginAsync();
        await MustAsync(client, "CREATE SCHEMA twin");
        await MustAsync(client, Schema.Replace("@", "public", StringComparison.Ordinal) + Schema.Replace("@", "twin", StringComparison.Ordinal) + Functions);
        await using var console = await ConsoleClient.OpenAsync(_proxy, CancellationToken.None);
        foreach (var sql in new[] { "SHARD TABLE item BY HASH (id)", "SHARD TABLE part BY HASH (item_id) COLOCATE WITH item", "REPLICATE TABLE city" })
        {
            await console.RunAsync(sql, CancellationToken.None);
        }

        var numbers = Enumerable.Range(1, 20).ToList();
        foreach (var schema in new[] { "public", "twin" })
        {
            await MustAsync(client, $"INSERT INTO {schema}.item VALUES {string.Join(", ", numbers.Select(i => $"({i}, 'n{i % 4}', {i * 2}.5, {(i % 5 == 0 ? "NULL" : i % 2 == 0 ? "'Rome'" : "'Oslo'")})"))}");
            await MustAsync(client, $"INSERT INTO {schema}.part VALUES {string.Join(", ", numbers.Select(i => $"({i}, {i % 3}, 'p{i}')"))}");
            await MustAsync(client, $"INSERT INTO {schema}.city VALUES ('Rome', 'IT'), ('Oslo', 'NO')");
            await MustAsync(client, $"INSERT INTO {schema}.plain SELECT i, 'v' || i FROM generate_series(1, 10) i");
        }
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [TestCase("SELECT * FROM @.cheap ORDER BY id")]
    [TestCase("SELECT c.\"Double\", cheap.id FROM @.cheap, @.cheap c WHERE cheap.id = c.id ORDER BY 2")]
    [TestCase("SELECT x.y, x.id FROM @.cheap AS x (id, y) WHERE x.id = $1 OR x.y = 'n2' ORDER BY 2", "3")]
    [TestCase("SELECT * FROM @.named WHERE a = 7")]
    [TestCase("SELECT b, count(*) FROM @.named GROUP BY b HAVING count(*) > $1::int ORDER BY b", "1")]
    [TestCase("SELECT * FROM @.counted ORDER BY city")]
    [TestCase("SELECT max(total), sum(n) FROM @.counted")]
    [TestCase("SELECT * FROM @.deep WHERE label LIKE 'p%' ORDER BY id")]
    [TestCase("SELECT * FROM @.mixed ORDER BY id")]
    [TestCase("SELECT * FROM @.guarded WHERE price > 10 ORDER BY id DESC LIMIT 4")]
    [TestCase("SELECT * FROM @.unioned")]
    [TestCase("SELECT * FROM @.alone ORDER BY id")]
    [TestCase("SELECT i.id FROM @.item i WHERE EXISTS (SELECT FROM @.cheap WHERE cheap.id = i.id) ORDER BY 1")]
    [TestCase("WITH q AS (SELECT * FROM @.cheap) SELECT q.id, p.v FROM q JOIN @.plain p ON p.id = q.id ORDER BY 1")]
    [TestCase("SELECT id FROM @.cheap UNION SELECT a FROM @.named WHERE a > 18 ORDER BY 1")]
    [TestCase("SELECT row_number() OVER (ORDER BY id), name FROM @.cheap ORDER BY 1")]
    [TestCase("SELECT id, twice(price), label(name) FROM @.item WHERE twice(price) > 40 ORDER BY id")]
    [TestCase("SELECT label(city), sum(twice(price)) FROM @.item GROUP BY 1 ORDER BY 1")]
    [TestCase("SELECT city, product(id), greatest_of(name) FROM @.item WHERE id < 9 GROUP BY city ORDER BY 1")]
    [TestCase("SELECT product(price), count(*), greatest_of(DISTINCT city) FILTER (WHERE price > 3) FROM @.item WHERE id < 5")]
    [TestCase("SELECT id, label(name) FROM @.cheap ORDER BY twice(id), 1")]
    [TestCase("SELECT twice(price) FROM @.item WHERE id = 4")]
    [TestCase("COPY (SELECT * FROM @.cheap ORDER BY id) TO STDOUT")]
    public async Task IsWhatOnePostgresAnswers(string sql, string? value = null)
    {
        using var client = await LoginAsync();
        foreach (var way in new[] { "simple", "extended", "block" })
        {
            if ((value is not null && way == "simple") || (sql.StartsWith("COPY", StringComparison.Ordinal) && way == "extended"))
            {
                continue;
            }

            var answers = new List<string>();
            foreach (var schema in new[] { "public", "twin" })
            {
                if (way == "block")
                {
                    await MustAsync(client, "BEGIN");
                    await MustAsync(client, $"UPDATE {schema}.item SET price = 19 WHERE id = 15");
                }

                var text = sql.Replace("@", schema, StringComparison.Ordinal);
                var reply = value is not null || way == "extended" ? await client.ExecuteAsync(text, value is null ? [] : [value]) : await client.QueryAsync(text);
                Assert.That(reply.SqlState, Is.Null, $"{way} {text}: {reply}");
                answers.Add($"{string.Join(',', reply.Columns)}\n{string.Join('\n', reply.Rows.Select(r => string.Join('|', r.Select(v => v ?? "NULL"))))}"
                    + string.Concat(reply.Messages.Where(m => m.Type == 'd').Select(m => System.Text.Encoding.UTF8.GetString(m.Body))));
                if (way == "block")
                {
                    await MustAsync(client, "ROLLBACK");
                }
            }

            Assert.That(answers[0], Is.EqualTo(answers[1]).And.Length.GreaterThan(16), $"{way} {sql}");
        }
    }

    [TestCase("INSERT INTO cheap (id) VALUES (99)", "SHP-207")]
    [TestCase("UPDATE cheap SET name = 'x' WHERE id = 1", "SHP-207")]
    [TestCase("DELETE FROM cheap", "SHP-207")]
    [TestCase("SELECT * FROM cheap FOR UPDATE", "SHP-207")]
    [TestCase("SELECT * FROM of_function", "SHP-208")]
    [TestCase("CREATE MATERIALIZED VIEW kept AS SELECT * FROM item", "SHP-229")]
    [TestCase("CREATE MATERIALIZED VIEW kept AS SELECT * FROM cheap", "SHP-229")]
    [TestCase("SELECT looks_up(id) FROM item", "SHP-201")]
    [TestCase("SELECT claims(id) FROM item", "SHP-201")]
    [TestCase("SELECT moment() FROM item", "SHP-201")]
    [TestCase("SELECT sharded_count()", "SHP-208")]
    [TestCase("SELECT id FROM plain WHERE id < sharded_count()", "SHP-208")]
    [TestCase("DO $$ BEGIN PERFORM sharded_count(); END $$", "SHP-208")]
    [TestCase("INSERT INTO logged VALUES (1)", "SHP-228")]
    [TestCase("COPY logged FROM STDIN", "SHP-228")]
    [TestCase("INSERT INTO checked VALUES (1)", "SHP-228")]
    [TestCase("INSERT INTO ruled VALUES (1)", "SHP-228")]
    [TestCase("BEGIN|CREATE VIEW made AS SELECT * FROM item|SELECT * FROM made", "SHP-207")]
    [TestCase("BEGIN|CREATE VIEW made AS SELECT * FROM cheap|SELECT count(*) FROM made", "SHP-207")]
    [TestCase("BEGIN|CREATE FUNCTION made() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM item'|SELECT made()", "SHP-207")]
    [TestCase("BEGIN|CREATE FUNCTION made() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM item'|CREATE VIEW made_too AS SELECT made()|SELECT * FROM made_too", "SHP-207")]
    [TestCase("CREATE TRIGGER made BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION logs()", "SHP-208")]
    [TestCase("BEGIN|CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM item; RETURN NEW; END'|CREATE TRIGGER made BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION made()|INSERT INTO plain VALUES (77)", "SHP-207")]
    [TestCase("BEGIN|CREATE OR REPLACE VIEW cheap AS SELECT id, name, price * 3 AS \"Double\" FROM item|SELECT * FROM cheap", "SHP-207")]
    public async Task WhatWouldMeanOneNodesRowsIsRefused(string sql, string code)
    {
        using var client = await LoginAsync();
        var statements = sql.Split('|');
        foreach (var before in statements[..^1])
        {
            var reply = await client.QueryAsync(before);
            if (reply.SqlState is not null)
            {
                Assert.That(reply.Errors[0].Field('D'), Is.EqualTo(code), before);
                return;
            }
        }

        var refused = await client.QueryAsync(statements[^1]);
        Assert.That(refused.SqlState is null ? "" : refused.Errors[0].Field('D'), Is.EqualTo(code), refused.ToString());
    }

    [Test]
    public async Task AViewGoesWithItsDefinition()
    {
        using var client = await LoginAsync();
        await MustAsync(client, "CREATE VIEW changing AS SELECT id FROM item WHERE id < 3");
        Assert.That((await client.ExecuteAsync("SELECT * FROM changing ORDER BY id")).Rows, Has.Count.EqualTo(2));
        await client.SendAsync([Frontend.Parse("SELECT count(*) FROM changing", "kept"), Frontend.Sync()]);
        await client.ReadUntilReadyAsync();
        await MustAsync(client, "CREATE OR REPLACE VIEW changing AS SELECT id FROM item WHERE id < 6");
        Assert.That((await client.QueryAsync("SELECT * FROM changing")).Rows, Has.Count.EqualTo(5));
        await client.SendAsync([Frontend.Bind(statement: "kept"), Frontend.Execute(), Frontend.Sync()]);
        Assert.That((await client.ReadUntilReadyAsync()).Rows.Single().Single(), Is.EqualTo("5"));

        await MustAsync(client, "DROP VIEW changing");
        Assert.That((await client.QueryAsync("SELECT * FROM changing")).SqlState, Is.EqualTo("42P01"));
    }

    private static async Task MustAsync(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.SqlState, Is.Null, $"{sql}: {reply}");
    }

    private Task<ScriptedClient> LoginAsync() => ScriptedClient.LoginAsync(_login.Port, _login.Username!, _login.Database!, _login.Password!, default);
}
