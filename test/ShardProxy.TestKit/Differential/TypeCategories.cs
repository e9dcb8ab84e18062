using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>SELECTs about values: arrays, dates, JSON, ranges, text.</summary>
internal static class TypeCategories
{
    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("arrays", Arrays),
        ("dates and intervals", Dates),
        ("json", Json),
        ("ranges", Ranges),
        ("text functions", TextFunctions),
        ("whole rows", WholeRows),
        ("quoted names", QuotedNames),
        ("floats", Floats),
        ("settings", Settings),
    ];

    private static Scenario Arrays(Dice d)
    {
        var c = new Expressions(d, Customer.Columns);
        return Scenario.Read(d.Number(0, 8) switch
        {
            0 => $"SELECT unnest(tags) AS t, count(*) FROM customer WHERE {c.Bool()} GROUP BY 1",
            1 => $"SELECT id, tags || '{{z}}', array_length(tags, 1), tags[1:1] FROM customer WHERE {c.Bool()}",
            2 => $"SELECT city, array_agg(id ORDER BY id) FILTER (WHERE {c.Bool()}) FROM customer GROUP BY city",
            3 => $"SELECT region, no FROM shipment WHERE boxes {d.Of("@> '{2}'", "<@ '{1,2,3,5}'", "&& ARRAY[3,5]", "= '{5}'", "> '{2}'", "IS NULL")}",
            4 => $"SELECT boxes, count(*) FROM shipment GROUP BY boxes ORDER BY boxes",
            5 => $"SELECT region, array_agg(DISTINCT no ORDER BY no DESC) FROM shipment GROUP BY region",
            6 => $"SELECT id, array_to_string(tags, '|', '-'), array_position(tags, 'b'), cardinality(tags) FROM customer WHERE {d.Number(1, 60)} <> ALL (ARRAY[id, 3])",
            7 => $"SELECT id FROM customer WHERE id = ANY (ARRAY(SELECT customer_id FROM orders WHERE amount > {d.Number(1, 90)}))",
            _ => $"SELECT sum(b) FROM shipment, unnest(boxes) b WHERE day > date '2024-02-27'",
        });
    }

    private static Scenario Dates(Dice d) => Scenario.Read(d.Number(0, 9) switch
    {
        0 => $"SELECT date_trunc('{d.Of("day", "hour", "month", "week")}', placed) AS t, count(*) FROM orders GROUP BY t",
        1 => $"SELECT id, born AT TIME ZONE '{d.Of("UTC", "Europe/Zurich", "America/New_York")}' FROM customer WHERE born > '2000-03-26 {d.Number(0, 23)}:00+00'",
        2 => $"SELECT extract({d.Of("dow", "doy", "epoch", "year", "week")} FROM since), count(*) FROM customer GROUP BY 1",
        3 => $"SELECT page, sum(took), max(took), min(at) FROM visit GROUP BY page",
        4 => $"SELECT id FROM visit WHERE took {d.Of(">", "=", "<")} interval '{d.Of("1 day", "30 days", "1 month", "1 hour")}'",
        5 => $"SELECT region, no, day + interval '1 month' AS m, day - date '2024-02-01' AS n FROM shipment WHERE day BETWEEN '2024-02-28' AND date '2024-03-0{d.Number(1, 3)}'",
        6 => $"SELECT to_char(placed, 'YYYY-MM-DD HH24'), count(*) FROM orders WHERE placed IS NOT NULL GROUP BY 1",
        7 => $"SELECT s.d::date, count(c.id) FROM generate_series(date '2020-01-01', '2020-01-31', '1 week') AS s (d) LEFT JOIN customer c ON c.since >= s.d AND c.since < s.d + interval '1 week' GROUP BY 1 ORDER BY 1",
        8 => $"SELECT count(*) FROM customer WHERE since < current_date AND now() > born",
        _ => $"SELECT id, justify_hours(took), extract(epoch FROM took) FROM visit WHERE (at, at + interval '1 hour') OVERLAPS ('2024-03-31', interval '{d.Number(1, 20)} hours')",
    });

    private static Scenario Json(Dice d)
    {
        var i = new Expressions(d, Item.Columns);
        return Scenario.Read(d.Number(0, 9) switch
        {
            0 => $"SELECT \"Code\", data -> 'a', data #>> '{{c,d}}' FROM \"Item\" WHERE {i.Bool()}",
            1 => $"SELECT kind, jsonb_agg(data -> 'a' ORDER BY \"Code\"), jsonb_object_agg(\"Code\", \"order\" ORDER BY \"Code\") FROM \"Item\" GROUP BY kind",
            2 => $"SELECT data ->> 'a' AS a, count(*) FROM \"Item\" WHERE data @> '{{\"b\": [{d.Number(0, 3)}]}}' GROUP BY 1",
            3 => $"SELECT \"Code\", jsonb_path_query_array(data, '$.b[*] ? (@ > 0)') FROM \"Item\" WHERE data @? '$.c.d'",
            4 => $"SELECT \"Code\", k, v FROM \"Item\", jsonb_each_text(data) AS j (k, v) WHERE k <> 'b'",
            5 => $"SELECT json_build_object('id', id, 'tags', tags, 'born', born) FROM customer WHERE id < {d.Number(3, 60)}",
            6 => $"SELECT jsonb_set(data, '{{a}}', '9'), data - 'c', data || '{{\"z\": 1}}' FROM \"Item\" WHERE data ? 'a'",
            7 => $"SELECT json_agg(c ORDER BY c.id) FROM customer c WHERE c.id < {d.Number(3, 20)}",
            8 => $"SELECT data, count(*) FROM \"Item\" GROUP BY data",
            _ => $"SELECT jsonb_array_length(data -> 'b'), jsonb_typeof(data -> 'a'), (data ->> 'a')::int + 1 FROM \"Item\" WHERE {i.Bool()}",
        });
    }

    private static Scenario Ranges(Dice d) => Scenario.Read(d.Number(0, 6) switch
    {
        0 => $"SELECT \"Code\", lower(span), upper(span), span * int4range(2, 7) FROM \"Item\" WHERE span {d.Of("@> 4", "&& '[1,3)'", "<> 'empty'", "-|- '[9,12)'", "IS NULL")}",
        1 => "SELECT range_agg(span), range_intersect_agg(span) FROM \"Item\"",
        2 => "SELECT span, count(*) FROM \"Item\" GROUP BY span ORDER BY span",
        3 => $"SELECT \"Code\" FROM \"Item\" WHERE {d.Number(0, 9)} <@ span AND upper_inf(span) IS FALSE",
        4 => "SELECT a.\"Code\", b.\"Code\" FROM \"Item\" a JOIN \"Item\" b ON a.span && b.span AND a.\"Code\" < b.\"Code\" WHERE a.kind = 'toy'",
        5 => $"SELECT id FROM customer WHERE daterange('2020-01-10', '2020-02-{d.Number(10, 20)}') @> since",
        _ => "SELECT int4range(min(\"order\"), max(\"order\"), '[]') FROM \"Item\" WHERE \"order\" IS NOT NULL",
    });

    private static Scenario TextFunctions(Dice d)
    {
        var source = QuerySource.Of(d, d.Of([Customer, Orders, Item, Shipment]));
        var e = new Expressions(d, source.Columns);
        var text = e.Column(SqlType.Text);
        var calls = d.Some<string>(
        [
            $"initcap({text})", $"reverse({text})", $"translate({text}, 'abc', 'xyz')", $"regexp_replace({text}, '[aeiou]', '#', 'g')", $"position('o' IN {text})", $"overlay({text} placing '__' from 2 for 1)",
            $"trim(both 'c' from {text})", $"substring({text} from '[0-9]+')", $"starts_with({text}, 'c1')", $"format('%s=%L', {text}, {text})", $"encode(convert_to({text}, 'UTF8'), 'hex')", $"repeat({text}, 2)", $"ascii({text})",
            $"quote_literal({text})", $"strpos({text}, '1')", $"rpad({text}, 4, '.')", $"string_to_array({text}, 'o')", $"{text} COLLATE \"C\" < 'Oslo'", $"concat_ws('/', {text}, {e.Int()})", $"octet_length({text})",
        ], 1, 4);
        return Scenario.Read($"SELECT {source.KeyList}, {string.Join(", ", calls)} FROM {source.From} WHERE {e.Bool(2)}");
    }

    private static Scenario WholeRows(Dice d)
    {
        var table = d.Of(Sharded);
        var e = new Expressions(d, QuerySource.As(table, "r").Columns);
        var key = QuerySource.As(table, "r").KeyList;
        return Scenario.Read(d.Number(0, 6) switch
        {
            0 => $"SELECT r FROM {table.Name} r WHERE {e.Bool()}",
            1 => $"SELECT r.*, {key} FROM {table.Name} AS r WHERE {e.Bool()}",
            2 => $"SELECT row_to_json(r) FROM {table.Name} r WHERE {e.Bool()}",
            3 => $"SELECT count(r), count(r.*) FROM {table.Name} r WHERE r IS NOT NULL",
            4 => $"SELECT ROW(r.*), r IS NULL FROM {table.Name} r WHERE {e.Bool()}",
            5 when d.Chance(30) => $"SELECT pg_typeof(r), pg_typeof(r.{table.Key[0]}) FROM {table.Name} r",
            5 => $"SELECT a.r FROM (SELECT r FROM {table.Name} r WHERE {e.Bool()}) a",
            _ => $"TABLE {table.Name}",
        });
    }

    private static Scenario QuotedNames(Dice d)
    {
        var e = new Expressions(d, Item.Columns);
        return Scenario.Read(d.Number(0, 6) switch
        {
            0 => $"SELECT \"Item\".\"Code\", \"Item\".\"Unit Price\" FROM \"Item\" WHERE \"Item\".\"Unit Price\" > {d.Number(0, 20)}",
            1 => $"SELECT \"X y\".\"order\", count(*) AS \"Nº\" FROM \"Item\" AS \"X y\" GROUP BY \"X y\".\"order\" ORDER BY 1",
            2 => $"SELECT \"Code\" AS \"select\" FROM public.\"Item\" WHERE \"order\" = {d.Number(1, 5)} ORDER BY \"select\"",
            3 => $"SELECT \"Code\" FROM \"Item\" WHERE \"Code\" = '{CodeOf(d.Number(1, 45))}' AND {e.Bool()}",
            4 => $"SELECT U&\"\\0043ode\" FROM \"Item\" WHERE {e.Bool()}",
            5 => $"SELECT sum(\"Unit Price\") AS \"Sum\" FROM \"Item\" i WHERE i.\"order\" BETWEEN 1 AND {d.Number(1, 5)} HAVING count(*) > 0",
            _ => $"SELECT code FROM \"Item\" WHERE \"Code\" <> ''",
        });
    }

    private static Scenario Floats(Dice d) => Scenario.Read(d.Number(0, 5) switch
    {
        0 => "SELECT sum(weight), avg(weight), min(weight), max(weight) FROM \"Item\"",
        1 => $"SELECT \"Code\", weight, weight * 3, weight::numeric, round(weight::numeric, 2) FROM \"Item\" WHERE weight {d.Of("<", ">", "=")} {d.Of("0", "3.25", "1e9")}",
        2 => "SELECT page, avg(score), count(score), sum(score) FROM visit GROUP BY page",
        3 => "SELECT weight FROM \"Item\" GROUP BY weight",
        4 => $"SELECT id, score, sqrt(abs(score)), floor(score) FROM visit WHERE score < {d.Number(1, 1000)}",
        _ => "SELECT var_pop(weight), stddev_samp(\"order\"::float8) FROM \"Item\" WHERE weight < 100",
    });

    // Settings that change how values are written: rows on their way between servers must not be changed by them.
    private static Scenario Settings(Dice d)
    {
        var (name, value) = d.Of<(string, string)>(
        [
            ("extra_float_digits", "-10"), ("extra_float_digits", "0"), ("DateStyle", "'SQL, DMY'"), ("DateStyle", "'German'"), ("IntervalStyle", "'sql_standard'"), ("IntervalStyle", "'iso_8601'"),
            ("TimeZone", "'America/New_York'"), ("TimeZone", "'Asia/Kolkata'"), ("bytea_output", "'escape'"), ("enable_hashjoin", "off"), ("lc_numeric", "'C'"),
        ]);
        var query = d.Of(
            "SELECT sum(weight / 3), max(weight / 3), count(DISTINCT weight) FROM \"Item\"",
            "SELECT x.\"Code\", y.weight * 1e15 FROM \"Item\" x JOIN \"Item\" y ON y.\"order\" = x.\"order\" AND y.\"Code\" < x.\"Code\"",
            "SELECT a.id, b.born, b.since FROM customer a JOIN customer b ON b.id = a.id + 9 WHERE b.since > '2020-01-05'::date",
            "SELECT v.page, v.took, o.placed FROM visit v JOIN orders o ON o.customer_id = v.customer_id",
            "SELECT id, took, at FROM visit WHERE at > timestamptz '2024-03-31 00:00+00'",
            "SELECT max(at), min(took), date_trunc('day', max(at)) FROM visit",
            "SELECT s.region, s.day + 1, c.born::date FROM shipment s LEFT JOIN customer c ON c.id = s.customer_id");
        return new Scenario([new Step($"SET {name} = {value}"), new Step(query)], Last: $"RESET {name}");
    }
}
