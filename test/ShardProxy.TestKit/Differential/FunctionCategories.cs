using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>SELECTs that go through PostgreSQL's functions: numbers, times, JSON, text, sets, further aggregates, window frames, orders.</summary>
internal static class FunctionCategories
{
    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("numeric functions", Numbers),
        ("date functions", DateFunctions),
        ("json functions", JsonFunctions),
        ("pattern matching", Patterns),
        ("array functions", ArrayFunctions),
        ("further aggregates", FurtherAggregates),
        ("window frames", WindowFrames),
        ("order by forms", OrderForms),
        ("limit forms", LimitForms),
        ("set-returning", SetReturning),
        ("nested queries", Nested),
        ("reports", Reports),
    ];

    private static Scenario Numbers(Dice d)
    {
        var calls = d.Some<string>(
        [
            "ceil(amount)", "floor(amount / 7)", "trunc(amount, 1)", "mod(qty, 3)", "div(amount, 7)", "power(qty, 2)", "sqrt(abs(amount))", "width_bucket(amount, 0, 100, 5)", "sign(amount - 50)",
            "amount::int", "amount::float8", "amount::text", "round(amount / 3, 4)", "to_char(amount, '999D99')", "to_number('12.5', '99D9') + amount", "gcd(qty, 12)", "qty # 3", "qty << 2", "~qty", "amount % 10",
            "greatest(amount, qty, 5)", "ln(amount + 1)", "scale(amount)", "min_scale(amount)", "factorial(3) * qty", "(amount * 1e10)::numeric(20, 2)", "amount::real", "'NaN'::numeric + amount", "'Infinity'::float8 - amount",
        ], 1, 4);
        return Scenario.Read(d.Chance(70)
            ? $"SELECT customer_id, id, {string.Join(", ", calls)} FROM orders WHERE {new Expressions(d, Orders.Columns).Bool(2)}"
            : $"SELECT sum({calls[0]}::numeric), count({calls[^1]}) FROM orders WHERE amount > {d.Number(0, 60)}");
    }

    private static Scenario DateFunctions(Dice d)
    {
        var calls = d.Some<string>(
        [
            "age(placed, timestamp '2024-01-01')", "placed + interval '1 month 2 days'", "placed - interval '90 minutes'", "date_part('hour', placed)", "extract(isodow FROM placed)", "placed::date", "placed::time", "to_char(placed, 'Dy DD Mon YYYY')",
            "date_trunc('quarter', placed)", "placed - timestamp '2024-02-28'", "make_interval(days => qty)", "make_date(2024, 1 + qty % 12, 1)", "date_bin('6 hours', placed, timestamp '2024-01-01')", "isfinite(placed)", "placed AT TIME ZONE 'Europe/Zurich'",
            "extract(epoch FROM placed)", "to_timestamp(extract(epoch FROM placed))", "to_date('2024-02-1' || (qty % 10), 'YYYY-MM-DD')", "placed BETWEEN '2024-02-29' AND '2024-03-01'", "justify_days(placed - '2024-01-01')", "placed::date - date '2024-02-01'",
        ], 1, 4);
        return Scenario.Read(d.Chance(75)
            ? $"SELECT customer_id, id, {string.Join(", ", calls)} FROM orders WHERE {new Expressions(d, Orders.Columns).Bool()}"
            : $"SELECT {calls[0]} AS g, count(*), min(placed), max(placed) - min(placed) FROM orders GROUP BY 1");
    }

    private static Scenario JsonFunctions(Dice d) => Scenario.Read(d.Number(0, 11) switch
    {
        0 => "SELECT \"Code\", x.a, x.c FROM \"Item\", jsonb_to_record(data) AS x (a int, c jsonb)",
        1 => $"SELECT \"Code\", jsonb_object_keys(data) AS k FROM \"Item\" WHERE \"order\" = {d.Number(1, 5)}",
        2 => $"SELECT data #> '{{b,{d.Number(0, 2)}}}', data -> 'b' -> -1, data #- '{{b,0}}' FROM \"Item\" WHERE data IS NOT NULL",
        3 => "SELECT kind, json_agg(\"Code\" ORDER BY \"Code\"), json_object_agg(\"Code\", data -> 'a' ORDER BY \"Code\") FROM \"Item\" GROUP BY kind",
        4 => "SELECT jsonb_agg(DISTINCT data -> 'a') FROM \"Item\"",
        5 => $"SELECT id, to_jsonb(tags), jsonb_build_array(id, name, active), json_build_object('c', credit) ->> 'c' FROM customer WHERE id < {d.Number(3, 60)}",
        6 => "SELECT jsonb_pretty(data), jsonb_strip_nulls(data) FROM \"Item\" WHERE jsonb_exists(data, 'a')",
        7 => $"SELECT \"Code\" FROM \"Item\" WHERE jsonb_path_exists(data, '$.b[*] ? (@ == {d.Number(0, 3)})') AND data @@ '$.a > {d.Number(0, 4)}'",
        8 => "SELECT jsonb_insert(data, '{b,0}', '7'), data || jsonb_build_object('code', \"Code\") FROM \"Item\" WHERE data ?& ARRAY['a', 'b']",
        9 => "SELECT a, count(*) FROM (SELECT (data ->> 'a')::int AS a FROM \"Item\") s GROUP BY a HAVING count(*) > 1",
        10 => $"SELECT e.value::int, count(*) FROM \"Item\" CROSS JOIN jsonb_array_elements(data -> 'b') e WHERE e.value <> 'null' GROUP BY 1",
        _ => "SELECT json_populate_record(NULL::city, json_build_object('name', c.name, 'people', c.id)) FROM customer c WHERE c.id < 5",
    });

    private static Scenario Patterns(Dice d)
    {
        var source = QuerySource.Of(d, d.Of([Customer, Orders, Item, Shipment]));
        var e = new Expressions(d, source.Columns);
        var text = e.Column(SqlType.Text);
        return Scenario.Read(d.Number(0, 8) switch
        {
            0 => $"SELECT {source.KeyList} FROM {source.From} WHERE {text} SIMILAR TO '(c|t)%'",
            1 => $"SELECT {source.KeyList}, regexp_match({text}, '([a-z]+)([0-9]*)') FROM {source.From} WHERE {text} {d.Of("~", "!~", "~*")} '[0-9]'",
            2 => $"SELECT {source.KeyList}, regexp_split_to_array({text}, 'o'), regexp_count({text}, 'o') FROM {source.From}",
            3 => $"SELECT t, count(*) FROM {source.From}, regexp_split_to_table({text}, '') AS t GROUP BY t",
            4 => $"SELECT {source.KeyList}, to_tsvector('simple', {text}) @@ to_tsquery('simple', 'rome | c1') FROM {source.From}",
            5 => $"SELECT {source.KeyList} FROM {source.From} WHERE {text} LIKE ANY (ARRAY['c1%', '%o%'])",
            6 => $"SELECT {source.KeyList} FROM {source.From} WHERE {text} NOT LIKE 'c\\_%' ESCAPE '\\' AND lower({text}) ^@ 'r'",
            7 => $"SELECT {source.KeyList}, {text} ILIKE 'R%', {text} ~~ 'R%', substring({text} FROM 2 FOR 2) FROM {source.From}",
            _ => $"SELECT {source.KeyList}, btrim({text}, 'ce'), chr(65 + length({text})), right({text}, 2), char_length({text}), string_to_table({text}, 'o') FROM {source.From} WHERE {e.Bool()}",
        });
    }

    private static Scenario ArrayFunctions(Dice d) => Scenario.Read(d.Number(0, 7) switch
    {
        0 => "SELECT region, no, array_append(boxes, no), array_remove(boxes, 2), boxes[2:], array_dims(boxes), boxes || no FROM shipment",
        1 => $"SELECT region, no, ARRAY(SELECT unnest(boxes) ORDER BY 1 DESC), {d.Number(1, 5)} = ANY (boxes), 4 > ALL (boxes) FROM shipment",
        2 => "SELECT region, array_agg(boxes ORDER BY no) FROM shipment WHERE array_length(boxes, 1) = 3 GROUP BY region",
        3 => "SELECT b, count(*), array_agg(region || no ORDER BY region, no) FROM (SELECT region, no, unnest(boxes) AS b FROM shipment) s GROUP BY b",
        4 => "SELECT id, array_replace(tags, 'a', 'z'), array_prepend('q', tags), tags[1], tags[array_upper(tags, 1)] FROM customer",
        5 => "SELECT id, ARRAY[id, id * 2]::text[], array_fill(id, ARRAY[2]), trim_array(ARRAY[1, 2, id], 1) FROM customer WHERE tags IS DISTINCT FROM '{a,b}'",
        6 => $"SELECT array_agg(DISTINCT city ORDER BY city NULLS FIRST), array_to_json(array_agg(id ORDER BY id)) FROM customer WHERE id < {d.Number(1, 60)}",
        _ => "SELECT id, s, tags[s] FROM customer, generate_subscripts(tags, 1) s",
    });

    private static Scenario FurtherAggregates(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var list = d.Some<string>(
        [
            $"count(DISTINCT ({e.Int()}, {e.Text()}))", $"string_agg(DISTINCT {e.Text()}, ',' ORDER BY {e.Text(0)})", $"variance({e.Int()})", $"stddev_pop({e.Num()})", $"regr_slope({e.Int()}, {e.Int()})", $"covar_samp({e.Int()}, {e.Int()})",
            $"bit_and({e.Column(SqlType.Int)})", $"bit_xor({e.Column(SqlType.Int)})", $"bool_and({e.Bool()})", $"min({e.Column(SqlType.Date)})", $"max({e.Column(SqlType.Interval)})", $"sum({e.Column(SqlType.Interval)})", $"avg({e.Column(SqlType.Interval)})",
            $"array_agg(DISTINCT {e.Int()})", $"json_object_agg({source.Key[0]}, {e.Int()} ORDER BY {source.KeyList})", $"sum({e.Int()}) + count(*) * 2", $"coalesce(max({e.Num()}), 0) - coalesce(min({e.Num()}), 0)", $"avg({e.Column(SqlType.Float)})",
            $"count(*) FILTER (WHERE {e.Bool()}) * 100.0 / nullif(count(*), 0)", $"sum(CASE WHEN {e.Bool()} THEN 1 ELSE 0 END)", $"count({e.Int()}) = count(*)", $"min(ARRAY[{e.Int()}])",
        ], 1, 3);
        var targets = string.Join(", ", list.Where(l => !l.StartsWith("string_agg(DISTINCT", StringComparison.Ordinal)).DefaultIfEmpty("count(*)"));
        var group = e.Column(d.Of([SqlType.Text, SqlType.Int, SqlType.Bool, SqlType.Date]));
        return Scenario.Read(d.Number(0, 2) switch
        {
            0 => $"SELECT {targets} FROM {source.From}",
            1 => $"SELECT {group} AS g, {targets} FROM {source.From} WHERE {e.Bool()} GROUP BY {group}",
            _ => $"SELECT {group} AS g, {e.Text(0)} AS h, {targets} FROM {source.From} GROUP BY 1, 2",
        });
    }

    private static Scenario WindowFrames(Dice d)
    {
        var frame = d.Of("RANGE BETWEEN 3 PRECEDING AND 3 FOLLOWING", "RANGE UNBOUNDED PRECEDING", "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES");
        return Scenario.Read(d.Number(0, 6) switch
        {
            0 => $"SELECT id, sum(id) OVER (ORDER BY id {frame}), count(*) OVER (ORDER BY id {frame}) FROM customer",
            1 => $"SELECT id, city, max(credit) OVER (PARTITION BY city ORDER BY id {frame}), rank() OVER (PARTITION BY city ORDER BY credit DESC NULLS LAST) FROM customer",
            2 => "SELECT city, count(*), rank() OVER (ORDER BY count(*) DESC), sum(count(*)) OVER () FROM customer GROUP BY city",
            3 => "SELECT id, sum(credit) FILTER (WHERE active) OVER (PARTITION BY city), cume_dist() OVER (ORDER BY id), first_value(name) OVER w, last_value(name) OVER w FROM customer WINDOW w AS (PARTITION BY city ORDER BY id)",
            4 => "SELECT customer_id, id, amount, amount - lag(amount) OVER w AS diff, row_number() OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id)",
            5 => $"SELECT * FROM (SELECT customer_id, id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC NULLS LAST, id) AS rn FROM orders) s WHERE rn = 1 AND customer_id < {d.Number(5, 60)}",
            _ => "SELECT DISTINCT city, count(*) OVER (PARTITION BY city), dense_rank() OVER (ORDER BY city) FROM customer",
        });
    }

    private static Scenario OrderForms(Dice d) => Scenario.Read(d.Number(0, 8) switch
    {
        0 => "SELECT id AS k, name FROM customer ORDER BY k DESC",
        1 => "SELECT name, id FROM customer ORDER BY lower(name) DESC, 2",
        2 => "SELECT id FROM customer ORDER BY credit IS NULL, credit, id",
        3 => "SELECT id, city FROM customer ORDER BY CASE city WHEN 'Rome' THEN 0 ELSE 1 END, id",
        4 => "SELECT id FROM customer ORDER BY id USING >",
        5 => "SELECT \"Code\" FROM \"Item\" ORDER BY \"Code\" COLLATE \"C\"",
        6 => $"SELECT city, count(*) AS n FROM customer GROUP BY city ORDER BY n DESC, city NULLS {d.Of("FIRST", "LAST")}",
        7 => "SELECT region, no FROM shipment ORDER BY (region, no) DESC",
        _ => "SELECT c.id, o.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id ORDER BY o.amount NULLS FIRST, c.id, o.id",
    }, isOrdered: true);

    private static Scenario LimitForms(Dice d) => d.Chance(10)
        ? Scenario.Read($"SELECT city, id FROM customer ORDER BY city FETCH FIRST {d.Number(1, 5)} ROWS WITH TIES")
        : Scenario.Read(LimitForm(d), isOrdered: true);

    private static string LimitForm(Dice d) => d.Number(0, 6) switch
    {
        0 => $"SELECT id FROM customer ORDER BY id LIMIT {d.Number(0, 5)} + 1 OFFSET {d.Number(0, 3)} * 2",
        1 => $"SELECT id, name FROM customer WHERE id > {d.Number(1, 50)} ORDER BY id LIMIT {d.Number(1, 10)}",
        2 => "SELECT id FROM customer ORDER BY id LIMIT (SELECT count(*) FROM city)",
        3 => $"SELECT id FROM customer ORDER BY id OFFSET {d.Number(50, 90)} ROWS",
        4 => "SELECT id FROM customer ORDER BY id LIMIT NULL",
        5 => $"(SELECT id FROM customer ORDER BY id LIMIT {d.Number(1, 4)}) UNION ALL (SELECT customer_id FROM orders ORDER BY 1 DESC LIMIT 2) ORDER BY 1",
        _ => "SELECT count(*) FROM (SELECT id FROM customer LIMIT 7) s",
    };

    private static Scenario SetReturning(Dice d) => Scenario.Read(d.Number(0, 4) switch
    {
        0 => "SELECT id, unnest(tags) FROM customer",
        1 => "SELECT region, no, (jsonb_each(jsonb_build_object('no', no))).* FROM shipment",
        2 => "SELECT DISTINCT unnest(boxes) AS b FROM shipment ORDER BY b NULLS LAST",
        3 => $"SELECT c.id, g FROM customer c, generate_series(c.id, c.id + 1) g WHERE c.id < {d.Number(2, 30)}",
        _ => "SELECT count(*) FROM (SELECT generate_series(1, qty) FROM orders WHERE qty < 5) s",
    });

    private static Scenario Nested(Dice d) => Scenario.Read(d.Number(0, 7) switch
    {
        0 => "SELECT * FROM (SELECT city, avg(credit) AS a FROM customer GROUP BY city) x WHERE a > (SELECT avg(credit) FROM customer)",
        1 => $"SELECT name FROM customer c WHERE {d.Number(1, 2)} <= (SELECT count(*) FROM orders o WHERE o.customer_id = c.id AND o.amount > (SELECT avg(amount) FROM orders))",
        2 => "SELECT c.id FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND NOT EXISTS (SELECT FROM visit v WHERE v.customer_id = c.id))",
        3 => "WITH a AS (SELECT customer_id, sum(amount) AS s FROM orders GROUP BY 1), b AS (SELECT max(s) AS m FROM a) SELECT a.customer_id FROM a, b WHERE a.s = b.m",
        4 => "SELECT (SELECT name FROM customer WHERE id = o.customer_id), count(*) FROM orders o GROUP BY 1",
        5 => "SELECT x.id, x.n FROM (SELECT c.id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS n FROM customer c) x WHERE x.n >= 2",
        6 => "SELECT city FROM customer GROUP BY city HAVING count(*) >= ALL (SELECT count(*) FROM customer GROUP BY city)",
        _ => $"SELECT id FROM customer WHERE (SELECT max(amount) FROM orders WHERE customer_id = customer.id) > {d.Number(1, 90)} OR city = (SELECT name FROM city ORDER BY people DESC NULLS LAST, name LIMIT 1)",
    });

    // Statements as reports have them: joins, groups, windows and orders together.
    private static Scenario Reports(Dice d) => Scenario.Read(d.Number(0, 5) switch
    {
        0 => "SELECT c.city, t.country, count(DISTINCT c.id) AS customers, sum(o.amount) AS total, avg(o.amount)::numeric(10, 2) FROM customer c JOIN orders o ON o.customer_id = c.id LEFT JOIN city t ON t.name = c.city GROUP BY c.city, t.country ORDER BY total DESC NULLS LAST, c.city",
        1 => "SELECT date_trunc('day', o.placed) AS day, count(*) AS n, sum(sum(o.amount)) OVER (ORDER BY date_trunc('day', o.placed)) AS running FROM orders o GROUP BY 1 ORDER BY 1",
        2 => $"SELECT c.id, c.name, sum(o.amount) AS total FROM customer c JOIN orders o ON c.id = o.customer_id GROUP BY c.id HAVING sum(o.amount) > {d.Number(10, 120)} ORDER BY total DESC, c.id LIMIT 5",
        3 => "SELECT i.kind, sum(i.\"Unit Price\" * s.no) AS worth FROM \"Item\" i JOIN shipment s ON s.no = i.\"order\" GROUP BY ROLLUP (i.kind) ORDER BY 1 NULLS LAST, 2",
        4 => "SELECT v.page, count(*) FILTER (WHERE c.active) AS active, count(*) AS n FROM visit v LEFT JOIN customer c ON c.id = v.customer_id GROUP BY v.page ORDER BY v.page",
        _ => "SELECT city, name, credit FROM (SELECT city, name, credit, id, row_number() OVER (PARTITION BY city ORDER BY credit DESC NULLS LAST, id) AS rn FROM customer) s WHERE rn <= 2 ORDER BY city NULLS FIRST, rn",
    }, isOrdered: true);
}
