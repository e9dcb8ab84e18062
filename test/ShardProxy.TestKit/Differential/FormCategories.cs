using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>Forms beside plain SELECTs and writes: cursors, COPY, MERGE, TRUNCATE, sequences, tables from queries, temporary tables, views, several statements in one string, locks.</summary>
internal static class FormCategories
{
    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("cursors", Cursors),
        ("copy to", CopyTo),
        ("copy from", CopyFrom),
        ("merge", Merge),
        ("truncate", Truncate),
        ("sequences", Sequences),
        ("create table as", CreateTableAs),
        ("temporary tables", TemporaryTables),
        ("views", Views),
        ("several statements", SeveralStatements),
        ("row locks", RowLocks),
        ("update from", UpdateFrom),
        ("delete using", DeleteUsing),
        ("writes with subqueries", WritesWithSubqueries),
        ("values and series", ValuesAndSeries),
        ("savepoints", Savepoints),
        ("sql prepare", SqlPrepare),
    ];

    private static int Id(Dice d) => d.Number(1, Customers + 20);

    // Read-only queries over several nodes with one order only.
    private static string Ordered(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        return d.Number(0, 3) switch
        {
            0 => $"SELECT {source.KeyList}, {e.Targets(1, 2)} FROM {source.From} WHERE {e.Bool()} ORDER BY {source.KeyList}",
            1 => $"SELECT city, count(*), max(id) FROM customer GROUP BY city ORDER BY city{d.Of("", " NULLS FIRST")}",
            2 => $"SELECT c.id, o.id, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id > {d.Number(0, 40)} ORDER BY 1, 2",
            _ => $"SELECT * FROM customer WHERE id = {Id(d)}",
        };
    }

    private static Scenario Cursors(Dice d)
    {
        var steps = new List<Step> { new("BEGIN"), new($"DECLARE c {d.Of("", "SCROLL ", "NO SCROLL ", "INSENSITIVE ")}CURSOR{d.Of("", "", " WITHOUT HOLD")} FOR {Ordered(d)}") };
        var isScroll = steps[1].Sql.Contains("c SCROLL", StringComparison.Ordinal);
        for (var i = d.Number(1, 5); i > 0; i--)
        {
            steps.Add(new Step(
                isScroll && d.Chance(40)
                    ? d.Of("FETCH PRIOR FROM c", "FETCH FIRST FROM c", "FETCH LAST FROM c", $"FETCH ABSOLUTE {d.Number(-3, 9)} FROM c", "FETCH BACKWARD 2 FROM c", $"FETCH RELATIVE {d.Number(-2, 3)} FROM c", "MOVE BACKWARD ALL IN c")
                    : d.Of("FETCH c", "FETCH NEXT FROM c", $"FETCH {d.Number(1, 6)} FROM c", $"FETCH FORWARD {d.Number(2, 9)} IN c", $"MOVE {d.Number(1, 3)} IN c", "FETCH ALL FROM c"),
                IsOrdered: true));
        }

        if (d.Chance(50))
        {
            steps.Add(new Step("CLOSE c"));
            steps.Add(new Step("SELECT count(*) FROM customer"));
        }

        steps.Add(new Step("COMMIT"));
        return new Scenario(steps, OwnBlock: true);
    }

    private static Scenario CopyTo(Dice d)
    {
        var source = d.Of(DifferentialTables.All);
        var options = d.Of("", "", " WITH (FORMAT csv)", " WITH (FORMAT csv, HEADER, FORCE_QUOTE *)", " CSV", " WITH (DELIMITER '|', NULL 'nil')");
        return d.Chance(40)
            ? Scenario.Read($"COPY {source.Name}{(d.Chance(40) ? $" ({source.Key[0]}, {d.Of(source.Columns).Name})" : "")} TO STDOUT{options}".Replace($"({source.Key[0]}, {source.Key[0]})", $"({source.Key[0]})", StringComparison.Ordinal))
            : Scenario.Read($"COPY ({Ordered(d)}) TO STDOUT{options}", isOrdered: true);
    }

    private static Scenario CopyFrom(Dice d)
    {
        var from = d.Number(61, 200);
        var lines = Enumerable.Range(from, d.Number(1, 9));
        var step = d.Number(0, 3) switch
        {
            0 => new Step("COPY customer (id, name, city, credit) FROM STDIN") { Copy = string.Concat(lines.Select(i => $"{i}\tcopied\\t{i}\t{(i % 3 == 0 ? "\\N" : "Rome")}\t{i}.50\n")) },
            1 => new Step("COPY orders (customer_id, id, note) FROM STDIN WITH (FORMAT csv)") { Copy = string.Concat(lines.Select(i => $"{i - 50},{i},\"a \"\"q\"\", {i}\"\n")) },
            2 => new Step("COPY shipment (no, region, cost) FROM STDIN CSV HEADER") { Copy = "no,region,cost\n" + string.Concat(lines.Select(i => $"{i},{Regions[i % 3]},{(i % 2 == 0 ? "" : "1.5")}\n")) },
            _ => new Step("COPY city FROM STDIN (DELIMITER '|')") { Copy = string.Concat(lines.Select(i => $"city{i}|XX|{i}\n")) },
        };
        var table = step.Sql.Split(' ')[1];
        var undo = table switch { "customer" => "id > 60", "orders" => "id > 60", "shipment" => "no > 60", _ => "name LIKE 'city%'" };
        return new Scenario([step, new Step($"SELECT count(*) FROM {table} WHERE {undo}"), new Step($"DELETE FROM {table} WHERE {undo}")], Writes: true);
    }

    private static Scenario Merge(Dice d) => Scenario.Write(d.Number(0, 10) switch
    {
        10 => $"MERGE INTO reading r USING (SELECT id, label FROM plain UNION ALL SELECT id * 40, 'far' FROM plain) p ON p.id = r.id AND r.id < {d.Number(1, 1500)} WHEN MATCHED THEN UPDATE SET kind = p.label WHEN NOT MATCHED AND p.id > {d.Number(600, 1200)} AND p.id % 7 = 3 THEN DO NOTHING",
        5 => $"MERGE INTO orders USING customer c ON orders.customer_id = c.id WHEN MATCHED AND c.city = '{d.Of(Cities)}' THEN DELETE WHEN NOT MATCHED AND c.id < {d.Number(1, 9)} THEN INSERT (customer_id, id, note) VALUES (c.id, {d.Number(7, 9)}, c.name)",
        6 => $"MERGE INTO customer c USING (SELECT customer_id, count(*) AS n, max(page) AS page FROM visit GROUP BY customer_id) v ON c.id = v.customer_id WHEN MATCHED THEN UPDATE SET credit = v.n, name = v.page WHEN NOT MATCHED AND v.customer_id IS NOT NULL THEN INSERT (id, name) VALUES (v.customer_id, 'merged')",
        7 => $"MERGE INTO shipment s USING (VALUES ('{d.Of(Regions)}', {d.Number(0, 20)}, 3), ('west', {d.Number(0, 9)}, NULL)) AS v (region, no, cost) ON v.region = s.region AND s.no = v.no AND s.no < {d.Number(5, 20)} WHEN MATCHED THEN UPDATE SET cost = v.cost WHEN NOT MATCHED AND v.no > 10 THEN DO NOTHING WHEN NOT MATCHED AND v.no < 5 THEN INSERT (no, region, cost) VALUES (v.no, v.region, (SELECT count(*) FROM city))",
        8 => $"WITH src AS (SELECT id, label FROM plain WHERE id > {d.Number(1, 25)}) MERGE INTO customer USING src ON src.id = customer.id WHEN MATCHED AND src.label IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = src.label",
        9 => $"MERGE INTO plain USING customer ON customer.id = plain.id AND plain.id < {d.Number(1, 30)} WHEN MATCHED THEN UPDATE SET label = customer.name, amount = (SELECT count(*) FROM orders WHERE customer_id = customer.id)",
        0 => $"MERGE INTO customer c USING (VALUES ({Id(d)}, 'm')) v (id, name) ON c.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)",
        1 => $"MERGE INTO orders o USING customer c ON o.customer_id = c.id AND c.id = {Id(d)} WHEN MATCHED AND o.id = 1 THEN UPDATE SET note = c.name WHEN NOT MATCHED THEN DO NOTHING",
        2 => $"MERGE INTO plain p USING (SELECT id, label FROM plain WHERE id < {d.Number(2, 9)}) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET label = s.label WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
        3 => $"MERGE INTO customer USING plain p ON customer.id = p.id AND p.id = {d.Number(1, 30)} WHEN MATCHED THEN UPDATE SET credit = p.amount",
        _ => $"MERGE INTO customer c USING (VALUES (1)) v (x) ON c.id = {Id(d)} WHEN MATCHED THEN UPDATE SET city = '{d.Of(Cities)}'",
    });

    private static Scenario Truncate(Dice d) => new(
        [
            new("BEGIN"), new($"TRUNCATE {d.Of("orders", "TABLE customer", "customer, orders", "city", "plain", "\"Item\", visit", "shipment")}"), new("SELECT count(*) FROM orders"), new("SELECT count(*), max(id) FROM customer"),
            new($"INSERT INTO orders (customer_id, id) VALUES ({Id(d)}, 1000)"), new("SELECT customer_id FROM orders ORDER BY 1 LIMIT 3", true), new("ROLLBACK"),
        ],
        Writes: true, OwnBlock: true);

    private static Scenario Sequences(Dice d)
    {
        var start = d.Number(2000, 900_000);
        return new Scenario(
            [
                new($"SELECT setval('tickets', {start})"),
                d.Number(0, 3) switch
                {
                    0 => new Step("SELECT nextval('tickets'), nextval('tickets')"),
                    1 => new Step($"INSERT INTO plain (id, label) VALUES (nextval('tickets'), 'c1'), (nextval('tickets'), 'c2') RETURNING id"),
                    2 => new Step($"INSERT INTO customer (id, name) VALUES (nextval('tickets'), 'seq') RETURNING id"),
                    _ => new Step($"SELECT nextval('tickets') FROM plain WHERE id < 4"),
                },
                new("SELECT currval('tickets'), lastval()"),
            ],
            Writes: true, Last: "DISCARD ALL");
    }

    private static Scenario CreateTableAs(Dice d)
    {
        var query = Ordered(d).Replace("c.id, o.id, o.amount", "c.id, o.id AS oid, o.amount", StringComparison.Ordinal);
        return new Scenario(
            [new(d.Chance(80) ? $"CREATE TABLE made AS {query}" : "CREATE TABLE made AS SELECT id, name FROM customer WITH NO DATA"), new("SELECT * FROM made"), new("SELECT count(*) FROM made JOIN customer ON true WHERE customer.id = 1")],
            Writes: true, Last: "DROP TABLE IF EXISTS made");
    }

    private static Scenario TemporaryTables(Dice d)
    {
        var make = d.Of($"CREATE TEMP TABLE scratch AS SELECT i AS id, 'c' || i AS name FROM generate_series(1, {d.Number(3, 20)}) i", "CREATE TEMP TABLE scratch AS SELECT id, name FROM plain, (VALUES ('x')) v (name) WHERE id < 9", "CREATE TEMPORARY TABLE scratch (id int, name text)", $"CREATE TEMP TABLE scratch AS SELECT id, name FROM customer WHERE id < {d.Number(4, 40)}");
        return new Scenario(
            [
                new(make), new($"INSERT INTO scratch VALUES ({Id(d)}, 'temp'), (NULL, 'none')"), new("SELECT * FROM scratch"), new($"SELECT c.id, s.name, c.city FROM customer c {d.Of("JOIN", "LEFT JOIN")} scratch s ON s.id = c.id"),
                new(d.Of("INSERT INTO scratch SELECT id, name FROM customer WHERE city = 'Rome'", $"UPDATE scratch SET name = c.name FROM customer c WHERE c.id = scratch.id AND c.id = {Id(d)}", "DELETE FROM scratch WHERE id IN (SELECT customer_id FROM orders)", "SELECT 1")),
                new("SELECT count(*), min(name) FROM scratch"), new("DROP TABLE scratch"),
            ],
            Writes: true, Last: "DISCARD ALL");
    }

    private static Scenario Views(Dice d)
    {
        var query = d.Of(
            "SELECT id, name, city FROM customer WHERE active", "SELECT city, count(*) AS n FROM customer GROUP BY city", "SELECT c.id, c.name, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id",
            "SELECT * FROM city", "SELECT id, label FROM plain", "SELECT c.id, t.country FROM customer c LEFT JOIN city t ON t.name = c.city");
        return new Scenario(
            [new($"CREATE VIEW seen AS {query}"), new("SELECT * FROM seen"), new("SELECT count(*) FROM seen s JOIN customer c ON true WHERE c.id = 5"), new(query.Contains(" id", StringComparison.Ordinal) ? $"SELECT * FROM seen WHERE id = {Id(d)}" : "SELECT * FROM seen LIMIT 0")],
            Writes: true, Last: "DROP VIEW IF EXISTS seen");
    }

    private static Scenario SeveralStatements(Dice d) => Scenario.Write(SeveralTexts(d)) with { IsSimple = true };

    private static string SeveralTexts(Dice d) => d.Number(0, 5) switch
    {
        0 => $"UPDATE customer SET credit = 1 WHERE id = {Id(d)}; SELECT count(*) FROM orders",
        1 => $"SELECT 1; SELECT name FROM customer WHERE id = {Id(d)}; SELECT 2",
        2 => $"BEGIN; UPDATE orders SET qty = 1 WHERE customer_id = {Id(d)}; UPDATE customer SET credit = 2 WHERE id = {Id(d)}; COMMIT",
        3 => $"INSERT INTO customer (id, name) VALUES ({Id(d)}, 'a') ON CONFLICT DO NOTHING; INSERT INTO customer (id, name) VALUES ({Id(d)}, 'b') ON CONFLICT DO NOTHING",
        4 => $"DELETE FROM orders WHERE customer_id = {Id(d)}; SELECT 1 / 0",
        _ => "SELECT max(id) FROM customer; SELECT count(*) FROM plain;",
    };

    private static Scenario RowLocks(Dice d)
    {
        var table = d.Of(Sharded);
        var mode = d.Of("FOR UPDATE", "FOR SHARE", "FOR NO KEY UPDATE", "FOR KEY SHARE", "FOR UPDATE NOWAIT", "FOR UPDATE SKIP LOCKED", $"FOR UPDATE OF {table.Name}");
        return new Scenario(
            [
                new("BEGIN"),
                d.Chance(20)
                    ? new Step($"SELECT c.id, o.id AS oid FROM customer c JOIN orders o ON o.customer_id = c.id WHERE {d.Of("c.city", "o.note")} IS NOT NULL ORDER BY o.amount {d.Of("", "DESC NULLS LAST")}, c.id, o.id FOR UPDATE{d.Of("", " OF o", " OF c NOWAIT", " SKIP LOCKED")}", true)
                    : d.Chance(50)
                    ? new Step($"SELECT * FROM {table.Name} WHERE {ReadCategories.KeyCondition(d, table)} {mode}")
                    : new Step($"SELECT {table.Key[0]} FROM {table.Name} WHERE {new Expressions(d, table.Columns).Bool()} ORDER BY {string.Join(", ", table.Key)} {mode}", true),
                new("COMMIT"),
            ],
            OwnBlock: true);
    }

    private static Scenario UpdateFrom(Dice d) => Scenario.Write(d.Number(0, 11) switch
    {
        8 => $"UPDATE \"Item\" i SET kind = left(x.page, 9), \"order\" = x.n FROM (SELECT page, count(*) AS n FROM visit GROUP BY page) x WHERE x.n > i.\"order\" AND x.page = '{d.Of("home", "cart", "help")}'",
        9 => $"WITH best AS (SELECT customer_id, max(amount) AS most FROM orders GROUP BY customer_id ORDER BY most DESC NULLS LAST, customer_id LIMIT {d.Number(1, 9)}) UPDATE visit SET score = best.most FROM best WHERE best.customer_id = visit.customer_id RETURNING visit.id, best.most",
        10 => $"UPDATE customer c SET credit = p.amount, since = p.on_day FROM plain p LEFT JOIN city t ON t.people = p.id WHERE p.id = c.id AND p.label LIKE 'c%' AND t.name IS NULL",
        11 => $"UPDATE plain p SET amount = x.total FROM (SELECT customer_id AS id, sum(amount) AS total FROM orders GROUP BY 1) x WHERE x.id = p.id RETURNING p.id, x.total",
        0 => $"UPDATE customer c SET credit = v.x FROM (VALUES ({Id(d)}, 1.5), ({Id(d) + 100}, 2.5)) v (id, x) WHERE c.id = v.id",
        1 => $"UPDATE orders o SET note = c.name FROM customer c WHERE c.id = o.customer_id AND c.city = '{d.Of(Cities)}'",
        2 => $"UPDATE customer SET city = t.name FROM city t WHERE t.name = customer.city AND t.people > {d.Number(0, 4)}",
        3 => $"UPDATE customer SET name = p.label FROM plain p WHERE p.id = customer.id AND p.label IS NOT NULL AND customer.id = {d.Number(1, 30)}",
        4 => $"UPDATE shipment s SET cost = c.credit FROM customer c WHERE c.id = s.customer_id AND s.no = {d.Number(0, 9)}",
        5 => $"UPDATE customer c SET credit = t.total FROM (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) t WHERE t.customer_id = c.id AND c.id < {d.Number(2, 30)}",
        6 => $"UPDATE plain SET label = c.name FROM customer c WHERE c.id = plain.id AND c.id = {d.Number(1, 30)}",
        _ => $"UPDATE customer AS c SET credit = u.v FROM unnest(ARRAY[{Id(d)}, 200], ARRAY[7.5, 8]) AS u (id, v) WHERE u.id = c.id RETURNING c.id, c.credit",
    });

    private static Scenario DeleteUsing(Dice d) => Scenario.Write(d.Number(0, 4) switch
    {
        0 => $"DELETE FROM orders o USING customer c WHERE c.id = o.customer_id AND c.city = '{d.Of(Cities)}' AND o.id = 3",
        1 => $"DELETE FROM orders USING (VALUES ({Id(d)}), ({Id(d)})) v (id) WHERE orders.customer_id = v.id AND orders.id > 2",
        2 => $"DELETE FROM visit v USING customer c WHERE c.id = v.customer_id AND c.id = {Id(d)} AND v.page = 'help'",
        3 => $"DELETE FROM shipment s USING city t WHERE t.name = s.region RETURNING s.*",
        _ => $"DELETE FROM orders o USING plain p WHERE p.id = o.customer_id AND p.id = {d.Number(1, 30)} AND o.id = 2",
    });

    private static Scenario WritesWithSubqueries(Dice d) => Scenario.Write(d.Number(0, 12) switch
    {
        8 => $"DELETE FROM shipment WHERE (region, no) IN (SELECT region, no FROM shipment WHERE cost IS NOT NULL ORDER BY cost DESC, region, no LIMIT {d.Number(1, 4)}) RETURNING region, no",
        9 => $"UPDATE orders o SET note = (SELECT string_agg(v.page, ',' ORDER BY v.page) FROM visit v WHERE v.customer_id = o.customer_id) WHERE o.id = {d.Number(1, 3)}",
        10 => $"UPDATE customer SET tags = ARRAY(SELECT DISTINCT page FROM visit ORDER BY 1), city = (SELECT name FROM city ORDER BY people DESC NULLS LAST, name LIMIT 1) WHERE id > {d.Number(30, 60)}",
        11 => $"DELETE FROM visit v WHERE EXISTS (SELECT FROM customer c JOIN plain p ON p.id = c.id WHERE c.id = v.customer_id AND p.amount > {d.Number(1, 100)})",
        12 => $"INSERT INTO plain (id, label, amount) SELECT customer_id + {1000 + (d.Number(0, 50) * 100)}, min(note), sum(amount) FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id HAVING count(*) > {d.Number(0, 2)} ON CONFLICT (id) DO UPDATE SET label = excluded.label RETURNING id, amount",
        0 => $"UPDATE customer c SET credit = (SELECT sum(amount) FROM orders o WHERE o.customer_id = c.id) WHERE c.id {d.Of("=", "<")} {d.Number(1, 20)}",
        1 => $"UPDATE customer SET active = false WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customer.id) AND id < {d.Number(1, 30)}",
        2 => $"DELETE FROM orders WHERE customer_id IN (SELECT id FROM customer WHERE city = '{d.Of(Cities)}' AND id < 20) AND id = 3",
        3 => $"UPDATE orders SET qty = qty + 1 WHERE amount > (SELECT avg(amount) FROM orders)",
        4 => $"UPDATE customer SET name = (SELECT label FROM plain WHERE id = {d.Number(1, 30)}) || '' WHERE id = {Id(d)} AND false",
        5 => $"DELETE FROM visit WHERE customer_id NOT IN (SELECT id FROM customer) AND page = 'help'",
        6 => $"UPDATE \"Item\" SET \"order\" = (SELECT count(*) FROM city) WHERE kind = '{d.Of(Kinds)}'",
        _ => $"UPDATE customer SET credit = 0 WHERE id IN (SELECT customer_id FROM visit WHERE page = 'cart' AND customer_id < {d.Number(2, 40)})",
    });

    private static Scenario ValuesAndSeries(Dice d) => Scenario.Read(d.Number(0, 7) switch
    {
        0 => $"VALUES ({Id(d)}, 'a'), ((SELECT count(*) FROM customer WHERE id < {Id(d)}), 'b')",
        1 => $"SELECT i, c.name FROM generate_series(1, {d.Number(5, 70)}, 5) i {d.Of("LEFT JOIN", "JOIN")} customer c ON c.id = i",
        2 => $"SELECT c.id, v.t FROM (VALUES ({Id(d)}, 'x'), ({Id(d)}, 'y')) v (id, t) JOIN customer c USING (id)",
        3 => $"SELECT id, generate_series(1, id % 3) FROM customer WHERE id < {d.Number(2, 20)}",
        4 => $"SELECT d::date, (SELECT count(*) FROM customer WHERE since = d::date) FROM generate_series(timestamp '2020-01-01', '2020-01-09', interval '{d.Number(1, 3)} days') d",
        5 => $"SELECT u.n, c.name FROM unnest(ARRAY[{Id(d)}, {Id(d)}, NULL]) WITH ORDINALITY u (id, n) LEFT JOIN customer c ON c.id = u.id ORDER BY u.n",
        6 => $"SELECT * FROM customer WHERE (id, city) IN (VALUES ({Id(d)}, 'Rome'), ({Id(d)}, 'Oslo'), ({Id(d)}, 'Bern'))",
        _ => $"SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) AS r (n, t), customer c WHERE c.id = r.n",
    });

    private static Scenario Savepoints(Dice d)
    {
        var steps = new List<Step> { new("BEGIN") };
        for (var i = 1; i <= d.Number(1, 3); i++)
        {
            steps.Add(new Step($"SAVEPOINT s{i}"));
            steps.Add(new Step(d.Of($"UPDATE customer SET credit = {i} WHERE id IN ({Id(d)}, {Id(d)})", $"INSERT INTO orders (customer_id, id) VALUES ({Id(d)}, {500 + i})", $"DELETE FROM shipment WHERE no = {d.Number(0, 9)}", $"UPDATE city SET people = {i}")));
            if (d.Chance(40))
            {
                steps.Add(new Step(d.Of("SELECT nope", "INSERT INTO customer (id) VALUES (NULL)", "SELECT 1 / (count(*) - count(*)) FROM customer")));
                steps.Add(new Step($"ROLLBACK TO SAVEPOINT s{i}"));
            }
            else if (d.Chance(40))
            {
                steps.Add(new Step($"RELEASE SAVEPOINT s{i}"));
            }

            steps.Add(new Step("SELECT count(*), sum(credit) FROM customer"));
        }

        steps.Add(new Step(d.Of("COMMIT", "ROLLBACK", "END", "ABORT")));
        return new Scenario(steps, Writes: true, OwnBlock: true);
    }

    private static Scenario SqlPrepare(Dice d)
    {
        var (query, call) = d.Of<(string, string)>(
        [
            ("SELECT name, city FROM customer WHERE id = $1", $"({Id(d)})"), ("SELECT count(*) FROM orders WHERE amount > $1", $"({d.Number(1, 90)})"), ("SELECT label FROM plain WHERE id = $1", $"({d.Number(1, 30)})"),
            ("SELECT id FROM customer WHERE city = $1 ORDER BY id", $"('{d.Of(Cities)}')"), ("SELECT country FROM city WHERE name = $1", $"('{d.Of(Cities)}')"),
            ("SELECT city, $1, count(*) FROM customer WHERE credit > $2 GROUP BY city HAVING count(*) >= $3 ORDER BY city", $"('x', {d.Number(0, 40)}.5, {d.Number(0, 3)})"),
            ("SELECT c.id, o.amount FROM customer c LEFT JOIN orders o ON o.customer_id = c.id AND o.qty > $2 WHERE c.id BETWEEN $1 AND $1 + 5", $"({Id(d)}, {d.Of("NULL", "3", "'4'")})"),
        ]);
        return new Scenario([new($"PREPARE q{d.Of("", "1")} AS {query}"), new($"EXECUTE q{call}"), new($"EXECUTE q {call}")], Last: "DEALLOCATE ALL");
    }
}
