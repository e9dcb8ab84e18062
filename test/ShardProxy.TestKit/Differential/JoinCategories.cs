using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>SELECTs of several tables: joins, WITH, set operations, subqueries.</summary>
internal static class JoinCategories
{
    private static readonly (SqlTable A, SqlTable B, string On)[] CrossShard =
    [
        (Customer, Item, "a.id = b.\"order\""),
        (Customer, Visit, "b.customer_id = a.id"),
        (Visit, Orders, "a.customer_id = b.customer_id"),
        (Shipment, Customer, "a.customer_id = b.id"),
        (Reading, Customer, "a.customer_id = b.id"),
        (Reading, Reading, "a.id = b.id"),
        (Customer, Customer, "a.id = b.id + 7"),
        (Customer, Customer, "a.name = b.name AND a.id < b.id"),
        (Shipment, Shipment, "a.day = b.day AND a.region < b.region"),
        (Item, Item, "a.kind = b.kind"),
    ];

    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("co-located joins", d => Join(d, (Customer, Orders, "a.id = b.customer_id"), d.Chance(40))),
        ("cross-shard joins", d => Join(d, d.Of(CrossShard), false)),
        ("outer joins", OuterJoins),
        ("using and natural", UsingAndNatural),
        ("joins with replicated", d => Join(d, d.Of(new[] { (Customer, City, "a.city = b.name"), (City, Customer, "b.city = a.name"), (Shipment, City, "a.no = b.people") }), d.Chance(30))),
        ("joins with unsharded", d => Join(d, d.Of(new[] { (Customer, Plain, "a.id = b.id"), (Plain, Orders, "b.customer_id = a.id"), (Visit, Plain, "a.customer_id = b.id") }), false)),
        ("joins of three", JoinsOfThree),
        ("join aliases", JoinAliases),
        ("with", With),
        ("recursive with", RecursiveWith),
        ("set operations", SetOperations),
        ("exists", Exists),
        ("in any all", InAnyAll),
        ("scalar subqueries", ScalarSubqueries),
        ("lateral", Lateral),
        ("derived tables", DerivedTables),
    ];

    private static Scenario Join(Dice d, (SqlTable A, SqlTable B, string On) pair, bool pinned) =>
        Finish(d, QuerySource.As(pair.A, "a").With(QuerySource.As(pair.B, "b"), d.Of("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "INNER JOIN"), $" ON {pair.On}{ExtraOn(d, pair)}"), pinned ? ReadCategories.KeyCondition(d, pair.A, "a.") : null);

    private static string ExtraOn(Dice d, (SqlTable A, SqlTable B, string On) pair) =>
        d.Chance(30) ? " AND " + new Expressions(d, [.. QuerySource.As(pair.A, "a").Columns, .. QuerySource.As(pair.B, "b").Columns]).Bool() : "";

    // The common end of queries over some tables: rows, or groups of them.
    private static Scenario Finish(Dice d, QuerySource source, string? condition)
    {
        var e = new Expressions(d, source.Columns);
        var conditions = new List<string>();
        if (condition is not null)
        {
            conditions.Add(condition);
        }

        if (d.Chance(60))
        {
            conditions.Add(e.Bool(2));
        }

        var where = conditions.Count > 0 ? " WHERE " + string.Join(" AND ", conditions) : "";
        return d.Number(0, 5) switch
        {
            0 => Scenario.Read($"SELECT {e.Column(SqlType.Text)} AS g, {e.Aggregate(source.KeyList)} FROM {source.From}{where} GROUP BY 1"),
            1 => Scenario.Read($"SELECT {e.Aggregate(source.KeyList)}, count(*) FROM {source.From}{where}"),
            2 => Scenario.Read($"SELECT {source.KeyList}, {e.Targets(1, 2)} FROM {source.From}{where} ORDER BY {source.KeyList}{(d.Chance(50) ? $" LIMIT {d.Number(1, 12)}" : "")}", isOrdered: true),
            3 => Scenario.Read($"SELECT * FROM {source.From}{where}"),
            _ => Scenario.Read($"SELECT {source.KeyList}, {e.Targets(1, 3)} FROM {source.From}{where}"),
        };
    }

    private static Scenario OuterJoins(Dice d)
    {
        var pair = d.Of<(SqlTable A, SqlTable B, string On)>([(Customer, Orders, "a.id = b.customer_id"), .. CrossShard.Take(5)]);
        var kind = d.Of("LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN");
        var source = QuerySource.As(pair.A, "a").With(QuerySource.As(pair.B, "b"), kind, $" ON {pair.On}{(kind == "FULL JOIN" ? "" : ExtraOn(d, pair))}");
        var e = new Expressions(d, source.Columns);
        return Finish(d, source, d.Chance(50) ? d.Of($"b.{pair.B.Key[0]} IS NULL", $"a.{pair.A.Key[0]} IS NULL", $"coalesce(a.{pair.A.Key[^1]}::text, 'none') <> 'x'", $"({e.Comparison()}) IS NOT TRUE") : null);
    }

    private static Scenario UsingAndNatural(Dice d)
    {
        var kind = d.Of("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN");
        var (from, merged) = d.Number(0, 4) switch
        {
            0 => ($"customer a {kind} plain b USING (id)", "id"),
            1 => ($"orders a {kind} visit b USING (customer_id)", "customer_id"),
            2 => ($"shipment a {kind} orders b USING (customer_id)", "customer_id"),
            3 => ($"customer a NATURAL {kind} plain b", "id"),
            _ => ($"customer a {kind} city b USING (name)", "name"),
        };
        var value = merged == "name" ? $"'{d.Of("c1", "Rome", "c5")}'" : $"{d.Number(1, 60)}";
        var condition = d.Of($"{merged} = {value}", $"{merged} {d.Of(">", "<", "<>")} {value}", $"a.{merged} {d.Of("=", "<")} {value}", $"b.{merged} IS NULL", $"{merged} IN ({value}, {value})", "true");
        return Scenario.Read(d.Of(
            $"SELECT {merged}, count(*) FROM {from} WHERE {condition} GROUP BY {merged}",
            $"SELECT * FROM {from} WHERE {condition}",
            $"SELECT {merged}, a.{merged}, b.{merged} FROM {from} WHERE {condition}"));
    }

    private static Scenario JoinsOfThree(Dice d)
    {
        var tables = d.Some<SqlTable>([Customer, Orders, Visit, Shipment, Plain], 3, 3);
        var (a, b, c) = (QuerySource.As(tables[0], "a"), QuerySource.As(tables[1], "b"), QuerySource.As(tables[2], "c"));
        string Id(SqlTable t, string alias) => $"{alias}.{(t == Customer || t == Plain ? "id" : "customer_id")}";
        string Kind() => d.Of("JOIN", "LEFT JOIN", "RIGHT JOIN", "JOIN");
        var (ab, bc, ac) = ($"{Id(tables[0], "a")} = {Id(tables[1], "b")}", $"{Id(tables[1], "b")} = {Id(tables[2], "c")}", $"{Id(tables[0], "a")} = {Id(tables[2], "c")}");
        QuerySource all = d.Number(0, 3) switch
        {
            0 => a.With(b, ",", "").With(c, ",", ""),
            1 => a.With(b with { From = $"({b.With(c, Kind(), $" ON {bc}").From})", Columns = [.. b.Columns, .. c.Columns], Key = [.. b.Key, .. c.Key] }, Kind(), $" ON {ab}"),
            2 => a.With(b, Kind(), $" ON {ab}{(d.Chance(40) ? $" AND {new Expressions(d, [.. a.Columns, .. b.Columns]).Bool()}" : "")}").With(c, Kind(), $" ON {d.Of(bc, ac)}"),
            _ => a.With(b, Kind(), $" ON {ab}").With(c, ",", ""),
        };
        var needed = all.From.Contains(',', StringComparison.Ordinal) ? $"{ab} AND {bc} AND {Id(tables[2], "c")} < {d.Number(5, 30)}" : null;
        return Finish(d, all, needed);
    }

    private static Scenario JoinAliases(Dice d)
    {
        var kind = d.Of("JOIN", "LEFT JOIN");
        return Scenario.Read(d.Number(0, 8) switch
        {
            0 => $"SELECT j.name, j.amount FROM (customer {kind} orders ON orders.customer_id = customer.id) AS j WHERE j.amount > {d.Number(0, 60)}",
            1 => $"SELECT x, y, z FROM (customer a {kind} orders b ON b.customer_id = a.id) AS j (x, y, z) WHERE x < {d.Number(5, 30)}",
            2 => $"SELECT j FROM (customer a {kind} orders b ON b.customer_id = a.id) AS j",
            3 => $"SELECT row_to_json(j), count(*) OVER () FROM (shipment a {kind} plain b ON a.no = b.id) AS j",
            4 => $"SELECT k, n FROM customer AS c (k, n, t) WHERE k < {d.Number(5, 60)} AND n <> '{d.Of("c1", "c2")}' AND t IS NOT NULL",
            5 => $"SELECT c, o FROM customer c {kind} orders o ON o.customer_id = c.id WHERE c.id < {d.Number(5, 30)}",
            6 => $"SELECT u.customer_id, a.amount, b.page FROM orders a {kind} visit b USING (customer_id) AS u WHERE u.customer_id < {d.Number(3, 60)}",
            7 => $"SELECT to_jsonb(x) -> 'name', x.* FROM customer x {kind} (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) o ON o.customer_id = x.id",
            _ => $"SELECT (c).city, (o).note FROM customer c, orders o WHERE (o).customer_id = (c).id AND (c).id < {d.Number(5, 30)}",
        });
    }

    private static Scenario With(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        return Scenario.Read(d.Number(0, 5) switch
        {
            0 => $"WITH w AS {d.Of("", "MATERIALIZED ", "NOT MATERIALIZED ")}(SELECT {e.Column(SqlType.Text)} AS g, {e.Aggregate(source.KeyList)} AS v FROM {source.From} WHERE {e.Bool()} GROUP BY 1) SELECT g, v FROM w WHERE g IS NOT NULL",
            1 => $"WITH big AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) SELECT c.name, b.total FROM big b {d.Of("JOIN", "RIGHT JOIN")} customer c ON c.id = b.customer_id WHERE c.id < {d.Number(10, 60)}",
            2 => $"WITH customer AS (SELECT id, 'hidden' AS name FROM orders WHERE qty > {d.Number(0, 5)}) SELECT * FROM customer",
            3 => $"WITH a AS (SELECT * FROM customer WHERE id < {d.Number(10, 50)}), b AS (SELECT id, name FROM a WHERE city = '{d.Of(Cities)}') SELECT a.id, b.name FROM a LEFT JOIN b USING (id)",
            4 => $"WITH w AS (SELECT id FROM customer WHERE {new Expressions(d, Customer.Columns).Bool()}) SELECT count(*) FROM w x, w y WHERE x.id = y.id",
            _ => $"WITH w (k, v) AS (SELECT id, credit FROM customer) SELECT k FROM w WHERE v > (SELECT avg(v) FROM w) ORDER BY k",
        });
    }

    private static Scenario RecursiveWith(Dice d) => Scenario.Read(d.Number(0, 3) switch
    {
        0 => $"WITH RECURSIVE chain (id, depth) AS (SELECT {d.Number(1, 3)}, 0 UNION ALL SELECT c.id, depth + 1 FROM chain JOIN customer c ON c.id = chain.id * 2) SELECT * FROM chain",
        1 => $"WITH RECURSIVE t AS (SELECT id, name, 1 AS lvl FROM customer WHERE id <= {d.Number(1, 4)} UNION SELECT c.id, c.name, lvl + 1 FROM t JOIN customer c ON c.id = t.id + 20 WHERE lvl < 4) SELECT lvl, count(*), max(name) FROM t GROUP BY lvl",
        2 => $"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {d.Number(3, 15)}) SELECT i, c.name FROM n LEFT JOIN customer c ON c.id = n.i",
        _ => $"WITH RECURSIVE r AS (SELECT region, no, cost FROM shipment WHERE no = {d.Number(0, 5)} UNION ALL SELECT s.region, s.no, s.cost FROM shipment s JOIN r ON s.region = r.region AND s.no = r.no + 1) SELECT region, count(*), sum(cost) FROM r GROUP BY region",
    });

    private static Scenario SetOperations(Dice d)
    {
        string Arm()
        {
            var source = QuerySource.Of(d, d.Of(DifferentialTables.All));
            var e = new Expressions(d, source.Columns);
            return $"SELECT {e.Int()} AS a, {e.Column(SqlType.Text)} AS b FROM {source.From}{(d.Chance(60) ? $" WHERE {e.Bool()}" : "")}";
        }

        var operation = d.Of("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL");
        return d.Number(0, 3) switch
        {
            0 => Scenario.Read($"{Arm()} {operation} {Arm()} ORDER BY 1, 2{d.Of("", " LIMIT 7", " NULLS FIRST")}", isOrdered: true),
            1 => Scenario.Read($"{Arm()} {operation} {Arm()} {d.Of("UNION", "EXCEPT", "UNION ALL")} {Arm()}"),
            2 => Scenario.Read($"SELECT a, count(*) FROM ({Arm()} {operation} {Arm()}) u GROUP BY a"),
            _ => Scenario.Read($"(SELECT id, name FROM customer ORDER BY id LIMIT {d.Number(1, 9)}) {operation} ({Arm()})"),
        };
    }

    private static Scenario Exists(Dice d)
    {
        var (outer, inner, on) = d.Of<(SqlTable, SqlTable, string)>([(Customer, Orders, "b.customer_id = a.id"), (Customer, Visit, "b.customer_id = a.id"), (Plain, Customer, "b.id = a.id"), (Orders, Customer, "b.id = a.customer_id"), (City, Customer, "b.city = a.name")]);
        var e = new Expressions(d, [.. QuerySource.As(inner, "b").Columns, .. d.Chance(30) ? QuerySource.As(outer, "a").Columns : []]);
        var o = new Expressions(d, QuerySource.As(outer, "a").Columns);
        return Scenario.Read($"SELECT a.* FROM {outer.Name} a WHERE {d.Of("", "NOT ")}EXISTS (SELECT {d.Of("1", "*", "")} FROM {inner.Name} b WHERE {on}{(d.Chance(70) ? $" AND {e.Bool()}" : "")}){(d.Chance(40) ? $" {d.Of("AND", "OR")} {o.Bool()}" : "")}");
    }

    private static Scenario InAnyAll(Dice d)
    {
        var c = new Expressions(d, Customer.Columns);
        var o = new Expressions(d, Orders.Columns);
        return Scenario.Read(d.Number(0, 8) switch
        {
            0 => $"SELECT id FROM customer WHERE id {d.Of("IN", "NOT IN")} (SELECT customer_id FROM orders WHERE {o.Bool()})",
            1 => $"SELECT id FROM customer WHERE id {d.Of("IN", "NOT IN")} (SELECT customer_id FROM visit{d.Of("", " WHERE customer_id IS NOT NULL")})",
            2 => $"SELECT * FROM orders WHERE amount {d.Of("= ANY", "> ALL", "< ANY", "<> ALL")} (SELECT credit FROM customer WHERE {c.Bool()})",
            3 => $"SELECT id, id IN (SELECT customer_id FROM orders WHERE {o.Bool()}) AS x FROM customer",
            4 => $"SELECT id FROM customer WHERE (id, name) IN (SELECT id, label FROM plain)",
            5 => $"SELECT id FROM customer WHERE id = {d.Number(1, 60)} AND id IN (SELECT customer_id FROM orders WHERE {o.Bool()})",
            6 => $"SELECT name FROM city WHERE name {d.Of("IN", "NOT IN")} (SELECT city FROM customer WHERE {c.Bool()})",
            7 => $"SELECT id FROM customer WHERE id IN (SELECT customer_id FROM orders WHERE customer_id = {d.Number(1, 60)} AND {o.Bool()})",
            _ => $"SELECT \"Code\" FROM \"Item\" WHERE \"Unit Price\" >= ALL (SELECT cost FROM shipment WHERE region = '{d.Of(Regions)}' AND cost < {d.Number(1, 20)})",
        });
    }

    private static Scenario ScalarSubqueries(Dice d)
    {
        var c = new Expressions(d, QuerySource.As(Customer, "c").Columns);
        var o = new Expressions(d, QuerySource.As(Orders, "o").Columns);
        return Scenario.Read(d.Number(0, 6) switch
        {
            0 => $"SELECT c.id, (SELECT {o.Aggregate("o.id")} FROM orders o WHERE o.customer_id = c.id AND {o.Bool()}) FROM customer c WHERE {c.Bool()}",
            1 => $"SELECT id FROM customer c WHERE credit {c.Operator()} (SELECT {d.Of("avg", "max", "min")}(credit) FROM customer x WHERE x.city = c.city)",
            2 => $"SELECT (SELECT count(*) FROM customer c WHERE {c.Bool()}), (SELECT max(amount) FROM orders o WHERE {o.Bool()})",
            3 => $"SELECT g, (SELECT name FROM customer WHERE id = g) FROM generate_series({d.Number(1, 5)}, {d.Number(6, 12)}) g",
            4 => $"SELECT ARRAY(SELECT id FROM orders o WHERE o.customer_id = c.id ORDER BY id) FROM customer c WHERE {c.Bool()}",
            5 => $"SELECT c.id, (SELECT b.label FROM plain b WHERE b.id = c.id) FROM customer c ORDER BY (SELECT count(*) FROM orders o WHERE o.customer_id = c.id), c.id",
            _ => $"SELECT (SELECT id FROM customer WHERE name = 'c{d.Number(1, 22)}')",
        });
    }

    private static Scenario Lateral(Dice d)
    {
        var o = new Expressions(d, QuerySource.As(Orders, "o").Columns);
        return Scenario.Read(d.Number(0, 4) switch
        {
            0 => $"SELECT c.id, l.* FROM customer c, LATERAL (SELECT {o.Aggregate("o.id")} AS v FROM orders o WHERE o.customer_id = c.id AND {o.Bool()}) l",
            1 => $"SELECT c.id, l.id, l.amount FROM customer c {d.Of("LEFT JOIN", "JOIN")} LATERAL (SELECT o.id, o.amount FROM orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT {d.Number(1, 2)}) l ON {d.Of("true", "l.amount > 20")}",
            2 => $"SELECT \"Code\", e FROM \"Item\", jsonb_array_elements(data -> 'b') AS e WHERE e <> 'null'",
            3 => $"SELECT id, t FROM customer CROSS JOIN LATERAL unnest(tags) AS t WHERE t {d.Of("=", "<>")} 'a'",
            _ => $"SELECT s.region, s.no, b, n FROM shipment s, unnest(s.boxes) WITH ORDINALITY AS u (b, n) WHERE b > {d.Number(0, 3)}",
        });
    }

    private static Scenario DerivedTables(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        return Scenario.Read(d.Number(0, 4) switch
        {
            0 => $"SELECT g, v FROM (SELECT {e.Text()} AS g, {e.Int()} AS v FROM {source.From} WHERE {e.Bool()}) s WHERE v > 2 OR g IS NULL",
            1 => $"SELECT count(*), max(g) FROM (SELECT DISTINCT {e.Text()} AS g FROM {source.From} WHERE {e.Bool(2)}) s",
            2 => $"SELECT s.n, c.name FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) s {d.Of("JOIN", "FULL JOIN", "LEFT JOIN")} customer c ON c.id = s.customer_id",
            3 => $"SELECT v.i, c.name, v.t FROM (VALUES (1, 'a'), ({d.Number(2, 60)}, 'b'), (NULL, 'c')) AS v (i, t) LEFT JOIN customer c ON c.id = v.i",
            _ => $"SELECT * FROM (SELECT {source.KeyList}, {e.Int()} AS v FROM {source.From} ORDER BY {source.KeyList} LIMIT {d.Number(2, 12)}) s WHERE v IS NOT NULL",
        });
    }
}
