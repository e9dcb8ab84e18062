using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>Statements that write, parameters, prepared statements, blocks and errors.</summary>
internal static class WriteCategories
{
    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("insert", Insert),
        ("insert of many rows", InsertMany),
        ("insert select", InsertSelect),
        ("update by key", UpdateByKey),
        ("update without key", UpdateWithoutKey),
        ("delete by key", DeleteByKey),
        ("delete without key", DeleteWithoutKey),
        ("upsert", Upsert),
        ("returning", Returning),
        ("writes to replicated", WriteReplicated),
        ("writing with", WritingWith),
        ("parameters", Parameters),
        ("prepared statements", Prepared),
        ("transactions", Transactions),
        ("errors", Errors),
    ];

    private static int Id(Dice d) => d.Number(1, Customers + 20);

    private static string Row(Dice d, SqlTable table) => table.Name switch
    {
        "customer" => CustomerRow(d, Id(d)),
        "orders" => OrderRow(d, d.Number(1, 5), Id(d)),
        "\"Item\"" => ItemRow(d, d.Number(1, 60)),
        "visit" => VisitRow(d, d.Number(1, 60)),
        "reading" => ReadingRow(d, d.Chance(60) ? d.Number(1, 25) : d.Number(-3, 2000)),
        _ => ShipmentRow(d, d.Of(Regions), d.Number(0, 20)),
    };

    private static Scenario Insert(Dice d)
    {
        var table = d.Of(Sharded);
        return Scenario.Write(d.Number(0, 4) switch
        {
            0 => $"INSERT INTO customer (name, id) VALUES ('c{d.Number(1, 22)}', {Id(d)})",
            1 => $"INSERT INTO visit (id, customer_id) VALUES ('{UuidOf(d.Number(1, 60))}', {Id(d)})",
            2 => $"INSERT INTO orders (customer_id, id, amount) VALUES ({Id(d)}, {d.Number(1, 5)}, DEFAULT)",
            _ => $"INSERT INTO {table.Name} VALUES ({Row(d, table)})",
        });
    }

    private static Scenario InsertMany(Dice d)
    {
        var table = d.Of(Sharded);
        return Scenario.Write($"INSERT INTO {table.Name} VALUES {string.Join(", ", Enumerable.Range(0, d.Number(2, 4)).Select(_ => $"({Row(d, table)})"))}{(d.Chance(50) ? " ON CONFLICT DO NOTHING" : "")}");
    }

    private static Scenario InsertSelect(Dice d) => Scenario.Write(d.Number(0, 4) switch
    {
        0 => $"INSERT INTO orders (customer_id, id, note) SELECT id, 9, name FROM customer WHERE id = {Id(d)}",
        1 => $"INSERT INTO plain (id, label) SELECT id + {1000 + (d.Number(0, 50) * 100)}, name FROM customer WHERE id < {d.Number(1, 8)} ON CONFLICT DO NOTHING",
        2 => $"INSERT INTO shipment (region, no) SELECT 'west', id FROM plain WHERE id = {d.Number(1, 30)} ON CONFLICT DO NOTHING",
        3 => $"INSERT INTO orders (customer_id, id, amount) SELECT customer_id, id + 10, amount FROM orders WHERE customer_id = {Id(d)} AND id < 3 ON CONFLICT DO NOTHING",
        _ => $"INSERT INTO customer (id, name) SELECT i, 'new' FROM generate_series({60 + d.Number(1, 10)}, {60 + d.Number(1, 14)}) i ON CONFLICT (id) DO NOTHING",
    });

    private static string Change(Dice d, SqlTable table)
    {
        var e = new Expressions(d, table.Columns);
        return table.Name switch
        {
            "customer" => d.Of($"city = '{d.Of(Cities)}'", $"credit = coalesce(credit, 0) + {d.Number(-3, 3)}", "active = NOT active", $"name = {e.Text(0)} || ''", "tags = tags || '{n}'", $"(city, since) = ('{d.Of(Cities)}', NULL)", "credit = DEFAULT"),
            "orders" => d.Of($"amount = {d.Number(0, 99)}.25", "note = NULL", $"qty = {d.Number(0, 12)}", $"note = left(note || 'x', 3), qty = qty + 1"),
            "\"Item\"" => d.Of($"kind = '{d.Of(Kinds)}'", $"\"Unit Price\" = {d.Number(0, 50)}", $"data = jsonb_set(data, '{{a}}', '{d.Number(0, 5)}')", $"\"order\" = {d.Number(1, 5)}", $"span = int4range({d.Number(0, 3)}, 9)"),
            "reading" => d.Of($"value = coalesce(value, 0) + {d.Number(-3, 3)}", $"kind = '{d.Of(Kinds)}'", "day = NULL", $"customer_id = {Id(d)}"),
            "visit" => d.Of($"page = '{d.Of("home", "cart", "help")}'", "page = DEFAULT", $"customer_id = {Id(d)}", "took = took + interval '1 minute'"),
            _ => d.Of($"cost = {d.Number(0, 20)}", "day = day + 1", $"boxes[1] = {d.Number(1, 5)}", "boxes = NULL"),
        };
    }

    private static Scenario UpdateByKey(Dice d)
    {
        var table = d.Of(Sharded);
        var alias = d.Chance(30) ? " AS u" : "";
        return Scenario.Write($"UPDATE {table.Name}{alias} SET {Change(d, table)} WHERE {ReadCategories.KeyCondition(d, table)}{(d.Chance(30) ? " AND " + new Expressions(d, table.Columns).Bool() : "")}");
    }

    private static Scenario UpdateWithoutKey(Dice d)
    {
        var table = d.Of(Sharded);
        return Scenario.Write(d.Number(0, 5) switch
        {
            0 => $"UPDATE orders SET amount = c.credit FROM customer c WHERE c.id = orders.customer_id AND c.id {d.Of("=", "<")} {d.Number(1, 8)}",
            1 => $"UPDATE customer SET name = (SELECT max(label) FROM plain) WHERE id IN ({Id(d)}, {Id(d)}) AND false",
            _ => $"UPDATE {table.Name} SET {Change(d, table)} WHERE {new Expressions(d, table.Columns).Bool()}",
        });
    }

    private static Scenario DeleteByKey(Dice d)
    {
        var table = d.Of(Sharded);
        return Scenario.Write($"DELETE FROM {table.Name} WHERE {ReadCategories.KeyCondition(d, table)}{(d.Chance(40) ? " AND " + new Expressions(d, table.Columns).Bool() : "")}");
    }

    private static Scenario DeleteWithoutKey(Dice d)
    {
        var table = d.Of(Sharded);
        return Scenario.Write(d.Number(0, 4) switch
        {
            3 => $"DELETE FROM reading WHERE id {d.Of("<", ">=", "BETWEEN 3 AND")} {d.Number(1, 900)} AND kind = '{d.Of(Kinds)}' RETURNING id",
            0 => $"DELETE FROM orders o USING customer c WHERE c.id = o.customer_id AND c.id = {Id(d)} AND o.id = {d.Number(1, 3)}",
            1 => $"DELETE FROM customer WHERE id IN ({Id(d)}, {Id(d)})",
            _ => $"DELETE FROM {table.Name} WHERE {new Expressions(d, table.Columns).Comparison()} AND {new Expressions(d, table.Columns).Comparison()} AND {new Expressions(d, table.Columns).Column(SqlType.Int)} = {d.Number(1, 60)}",
        });
    }

    private static Scenario Upsert(Dice d) => Scenario.Write(d.Number(0, 5) switch
    {
        0 => $"INSERT INTO customer (id, name, credit) VALUES ({Id(d)}, 'up', {d.Number(1, 9)}) ON CONFLICT (id) DO UPDATE SET credit = coalesce(customer.credit, 0) + excluded.credit",
        1 => $"INSERT INTO \"Item\" (\"Code\", \"order\") VALUES ('{CodeOf(d.Number(1, 60))}', {d.Number(1, 5)}) ON CONFLICT (\"Code\") DO UPDATE SET \"order\" = excluded.\"order\" WHERE \"Item\".\"order\" < excluded.\"order\"",
        2 => $"INSERT INTO shipment AS s (region, no, cost) VALUES ('{d.Of(Regions)}', {d.Number(0, 20)}, 1) ON CONFLICT ON CONSTRAINT shipment_pkey DO UPDATE SET cost = s.cost + 1",
        3 => $"INSERT INTO customer (id, name) VALUES ({Id(d)}, 'none') ON CONFLICT DO NOTHING",
        4 => $"INSERT INTO orders (customer_id, id, qty) VALUES ({Id(d)}, 1, 1), ({Id(d)}, 2, 2) ON CONFLICT (customer_id, id) DO UPDATE SET qty = excluded.qty RETURNING customer_id, id, qty",
        _ => $"INSERT INTO visit (id, page) VALUES ('{UuidOf(d.Number(1, 60))}', 'cart') ON CONFLICT (id) DO UPDATE SET page = DEFAULT RETURNING id, page",
    });

    private static Scenario Returning(Dice d)
    {
        var table = d.Of(Sharded);
        var e = new Expressions(d, table.Columns);
        var list = d.Of("*", e.Targets(1, 3), table.Key[0]);
        return Scenario.Write(d.Number(0, 4) switch
        {
            0 => $"INSERT INTO {table.Name} VALUES ({Row(d, table)}) RETURNING {list}",
            1 => $"UPDATE {table.Name} SET {Change(d, table)} WHERE {ReadCategories.KeyCondition(d, table)} RETURNING {list}",
            2 => $"DELETE FROM {table.Name} WHERE {ReadCategories.KeyCondition(d, table)} RETURNING {list}",
            3 => $"UPDATE {table.Name} SET {Change(d, table)} WHERE {e.Comparison()} RETURNING {list}",
            _ => $"INSERT INTO {table.Name} VALUES ({Row(d, table)}) ON CONFLICT DO NOTHING RETURNING {list}",
        });
    }

    private static Scenario WriteReplicated(Dice d) => Scenario.Write(d.Number(0, 7) switch
    {
        0 => $"INSERT INTO city VALUES ('{d.Of("Nice", "Bonn", "Rome")}', 'XX', {d.Number(0, 20)})",
        1 => $"UPDATE city SET people = coalesce(people, 0) + 1 WHERE name = '{d.Of(Cities)}' RETURNING *",
        2 => $"DELETE FROM city WHERE name IN ('Nice', 'Bonn')",
        3 => $"INSERT INTO city VALUES ('{d.Of(Cities)}', 'YY') ON CONFLICT (name) DO UPDATE SET country = excluded.country",
        4 => $"INSERT INTO city SELECT 'town' || i, upper('t' || i), -i FROM generate_series({d.Number(1, 4)}, {d.Number(3, 9)}) i ON CONFLICT DO NOTHING RETURNING *",
        5 => $"INSERT INTO city (name, people) SELECT x || '!', length(x) FROM unnest(ARRAY['{d.Of(Cities)}', 'Xi']) AS x ON CONFLICT (name) DO UPDATE SET people = excluded.people + 1",
        6 => $"DELETE FROM city WHERE name LIKE 'town%' OR regexp_replace(name, '!$', '') <> name RETURNING name",
        _ => $"UPDATE plain SET label = 'c{d.Number(1, 20)}' WHERE id = {d.Number(1, 30)} RETURNING id, label",
    });

    private static Scenario WritingWith(Dice d)
    {
        var id = Id(d);
        return Scenario.Write(d.Number(0, 14) switch
        {
            0 => $"WITH gone AS (DELETE FROM orders WHERE customer_id = {id} AND id = 1 RETURNING *) SELECT count(*) FROM gone",
            1 => $"WITH u AS (UPDATE customer SET credit = 1 WHERE id = {id} RETURNING id, name) SELECT u.name, o.id FROM u JOIN orders o ON o.customer_id = u.id WHERE o.customer_id = {id}",
            3 => $"WITH gone AS (DELETE FROM orders WHERE amount < {d.Number(1, 20)} RETURNING *) SELECT count(*), sum(amount) FROM gone",
            4 => $"WITH gone AS (DELETE FROM shipment WHERE no = {d.Number(0, 14)} RETURNING region, no, customer_id, cost) INSERT INTO orders (customer_id, id, amount) SELECT customer_id, no + 100, cost FROM gone WHERE customer_id IS NOT NULL",
            5 => $"WITH made AS (INSERT INTO customer (id, name) VALUES ({100 + id}, 'w1'), ({200 + id}, 'w2') RETURNING id, name, credit) INSERT INTO orders (customer_id, id, note) SELECT id, 1, name FROM made RETURNING customer_id, note",
            6 => $"WITH u AS (UPDATE customer SET credit = coalesce(credit, 0) + 1 WHERE city = '{d.Of(Cities)}' RETURNING *) SELECT * FROM u",
            7 => $"WITH u AS (UPDATE \"Item\" SET \"order\" = {d.Number(1, 5)} WHERE kind = '{d.Of(Kinds)}' RETURNING \"Code\", data, span, \"Unit Price\") SELECT u.*, p.label FROM u LEFT JOIN plain p ON p.label = u.\"Code\"",
            8 => $"WITH u AS (UPDATE reading SET value = 1 WHERE id > {d.Number(1, 900)} RETURNING customer_id, kind) UPDATE orders SET note = u.kind FROM u WHERE u.customer_id = orders.customer_id AND orders.id = 1 AND false",
            9 => $"WITH u AS (UPDATE customer SET name = 'there' WHERE id = {id} RETURNING id) INSERT INTO customer (id, name) SELECT {id}, 'fresh' WHERE NOT EXISTS (SELECT FROM u)",
            10 => $"WITH a AS (UPDATE plain SET amount = amount + 1 WHERE id < {d.Number(2, 9)} RETURNING id, amount), b AS (DELETE FROM visit WHERE customer_id IN (SELECT id FROM a) RETURNING page, customer_id) SELECT a.amount, b.page FROM a LEFT JOIN b ON b.customer_id = a.id",
            11 => $"WITH unread AS (DELETE FROM visit WHERE page = 'none'), c AS (SELECT city, count(*) AS n FROM customer GROUP BY city) SELECT * FROM c",
            12 => $"WITH u AS (UPDATE shipment SET cost = 1 / (no - {d.Number(0, 14)}) RETURNING no) SELECT count(*) FROM u",
            13 => $"WITH gone AS (DELETE FROM visit WHERE customer_id = {id} RETURNING at, took, score) SELECT *, now() >= at FROM gone",
            2 => $"WITH v AS (SELECT id FROM customer WHERE id = {id}) UPDATE orders SET qty = 3 WHERE customer_id = {id} AND EXISTS (SELECT FROM v)",
            _ => $"WITH n AS (INSERT INTO customer (id, name) VALUES ({id}, 'w') ON CONFLICT DO NOTHING RETURNING id) SELECT * FROM n",
        });
    }

    private static Argument Arg(Dice d, int value) => new(d.Chance(4) ? null : $"{value}", d.Of([0u, 0u, Argument.Int4, Argument.Int8]));

    private static Scenario Parameters(Dice d) => d.Number(0, 13) switch
    {
        0 => Scenario.Read("SELECT * FROM customer WHERE id = $1", false, Arg(d, Id(d))),
        1 => Scenario.Read("SELECT id FROM customer WHERE city = $1 ORDER BY id LIMIT $2", true, new Argument(d.Of(Cities)), new Argument($"{d.Number(0, 9)}")),
        2 => Scenario.Read("SELECT id FROM customer WHERE credit > $1 AND since < $2", false, new Argument($"{d.Number(0, 40)}.5"), new Argument("2020-02-10", d.Of([0u, Argument.Date]))),
        3 => Scenario.Read("SELECT id FROM customer WHERE id = ANY ($1)", false, new Argument($"{{{Id(d)},{Id(d)},NULL}}")),
        4 => Scenario.Read("SELECT id, $2::text FROM customer WHERE id IN ($1, $3, 7)", false, Arg(d, Id(d)), new Argument("it's \\ $1"), Arg(d, Id(d))),
        5 => Scenario.Read("SELECT \"Code\" FROM \"Item\" WHERE \"Code\" = $1", false, new Argument(CodeOf(d.Number(1, 45)).Replace("''", "'", StringComparison.Ordinal), d.Of([0u, Argument.TextType]))),
        6 => Scenario.Read("SELECT * FROM visit WHERE id = $1", false, new Argument(UuidOf(d.Number(1, 45)), d.Of([0u, Argument.Uuid]))),
        7 => Scenario.Read("SELECT * FROM shipment WHERE region = $1 AND no = $2", false, new Argument(d.Of(Regions)), Arg(d, d.Number(0, 14))),
        8 => Scenario.Read("SELECT count(*) FROM orders WHERE ($1::int IS NULL OR qty = $1) AND note IS DISTINCT FROM $2", false, new Argument(d.Chance(30) ? null : $"{d.Number(0, 9)}"), new Argument(d.Of("n1", ""))),
        9 => Scenario.Read("SELECT c.id, o.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id AND o.amount > $1 WHERE c.id < $2", false, new Argument("30"), Arg(d, Id(d))),
        10 => Scenario.Read("SELECT id FROM customer WHERE id = $1", false, new Argument($"{d.Number(1, 9)}.0", Argument.Numeric)),
        11 => Scenario.Read("SELECT sum(id), count(*), max(id) FROM customer WHERE id > $1", false, Arg(d, Id(d))),
        12 => Scenario.Write("INSERT INTO orders (customer_id, id, amount, note) VALUES ($1, $2, $3, $4)", Arg(d, Id(d)), new Argument($"{d.Number(1, 6)}"), new Argument("1.5"), new Argument("p\\'q")),
        _ => Scenario.Write("UPDATE customer SET name = $2 WHERE id = $1", Arg(d, Id(d)), new Argument($"c{d.Number(1, 22)}")),
    };

    // The same text several times, so that it is prepared once and bound with other values.
    private static Scenario Prepared(Dice d)
    {
        var (sql, make) = d.Of<(string, Func<Argument[]>)>(
        [
            ("SELECT name, credit FROM customer WHERE id = $1", () => [new($"{Id(d)}")]),
            ("SELECT id, name FROM customer WHERE id IN ($1, $2) ORDER BY id", () => [new($"{Id(d)}"), new($"{Id(d)}")]),
            ("SELECT city, count(*) FROM customer WHERE credit > $1 GROUP BY city", () => [new($"{d.Number(0, 40)}")]),
            ("SELECT count(*) FROM orders WHERE amount > $1", () => [new($"{d.Number(0, 90)}")]),
            ("SELECT c.name, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1", () => [new($"{Id(d)}")]),
            ("SELECT s.no, c.name FROM shipment s JOIN customer c ON c.id = s.customer_id WHERE s.cost > $1 AND c.name LIKE $2", () => [new($"{d.Number(0, 9)}"), new("c%")]),
            ("UPDATE orders SET qty = $2 WHERE customer_id = $1", () => [new($"{Id(d)}"), new($"{d.Number(0, 12)}")]),
            ("SELECT \"Code\" FROM \"Item\" WHERE kind = $1 OR \"order\" = $2", () => [new(d.Of(Kinds)), new($"{d.Number(1, 5)}")]),
        ]);
        return new Scenario([.. Enumerable.Range(0, 3).Select(_ => new Step(sql, sql.Contains("ORDER BY", StringComparison.Ordinal), make()))], Writes: sql.StartsWith('U'));
    }

    private static Scenario Transactions(Dice d)
    {
        var steps = new List<Step> { new(d.Of("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION", "BEGIN READ WRITE")) };
        string Write() => d.Number(0, 4) switch
        {
            0 => $"INSERT INTO customer (id, name, city) VALUES ({Id(d)}, 'tx', 'Rome') ON CONFLICT (id) DO UPDATE SET name = 'tx2'",
            1 => $"UPDATE orders SET amount = amount + 1 WHERE customer_id = {Id(d)}",
            2 => $"DELETE FROM shipment WHERE region = '{d.Of(Regions)}' AND no = {d.Number(0, 20)}",
            3 => $"UPDATE city SET people = people + 1 WHERE name = '{d.Of(Cities)}'",
            _ => $"UPDATE plain SET amount = amount + 1 WHERE id = {d.Number(1, 30)}",
        };
        string Read() => d.Number(0, 4) switch
        {
            0 => "SELECT count(*), sum(amount) FROM orders",
            1 => $"SELECT name, city FROM customer WHERE id = {Id(d)}",
            2 => "SELECT city, count(*) FROM customer GROUP BY city",
            3 => "SELECT p.amount, c.name FROM plain p JOIN customer c ON c.id = p.id JOIN city t ON t.name = c.city WHERE t.people > 0",
            _ => "SELECT region, count(*), min(no) FROM shipment GROUP BY region",
        };
        for (var i = d.Number(2, 6); i > 0; i--)
        {
            steps.Add(new Step(d.Chance(60) ? Write() : Read()));
            if (d.Chance(25))
            {
                steps.Add(new Step("SAVEPOINT s"));
                steps.Add(new Step(d.Chance(30) ? "SELECT 1 / 0" : Write()));
                steps.Add(new Step("ROLLBACK TO s"));
                steps.Add(new Step(Read()));
            }
        }

        steps.Add(new Step(d.Of("COMMIT", "ROLLBACK", "COMMIT")));
        return new Scenario(steps, Writes: true, OwnBlock: true);
    }

    private static Scenario Errors(Dice d) => d.Number(0, 15) switch
    {
        0 => Scenario.Read($"SELECT 1 / (id - {d.Number(1, 60)}) FROM customer"),
        1 => Scenario.Read("SELECT nope FROM customer"),
        2 => Scenario.Read("SELECT c.nope FROM customer c JOIN orders o ON o.customer_id = c.id"),
        3 => Scenario.Read("SELECT id FROM customer GROUP BY name"),
        4 => Scenario.Read("SELECT name::int FROM customer WHERE id = 5"),
        5 => Scenario.Read("SELECT id FROM customer, orders"),
        6 => Scenario.Read("SELECT (SELECT id FROM customer)"),
        7 => Scenario.Write($"INSERT INTO customer (id) VALUES ({Id(d)})"),
        8 => Scenario.Write("INSERT INTO orders (customer_id, id, qty) VALUES (3, 77, 1001)"),
        9 => Scenario.Read("SELECT nofunction(id) FROM customer"),
        10 => Scenario.Read("SELECT * FROM notable JOIN customer USING (id)"),
        11 => Scenario.Read("SELECT sum(name) FROM customer"),
        12 => Scenario.Read("SELECT id FROM customer WHERE name = 5"),
        13 => Scenario.Read("SELECT id FROM customer LIMIT -1"),
        14 => Scenario.Write("UPDATE orders SET qty = 40000 WHERE customer_id = 3"),
        _ => Scenario.Read("SELECT id FROM customer UNION SELECT name FROM customer"),
    };
}
