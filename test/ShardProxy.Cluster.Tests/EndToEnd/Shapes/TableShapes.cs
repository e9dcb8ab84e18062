using System.Globalization;

namespace ShardProxy.Cluster.Tests.EndToEnd.Shapes;

/// <summary>The shapes: what logical replication, triggers, checksums or COPY treat otherwise than a plain table with a primary key.</summary>
internal static class TableShapes
{
    private const string Special = """
        'sad', 7, ROW(1, 'a,"b')::$.pair, '{sad,NULL}', ARRAY[ROW(1, 'x'), NULL]::$.pair[], 'NaN', '-0', '-Infinity', 'infinity', '-infinity', 'infinity', '1 mon -3 days 04:05:06.7',
         '{"a":  1, "a": 2}', '{"a": 1.0}', '10101', '101', '12.34', '<a b="1">x</a>', 'a:1A b:2,3', '[1,5)', '{[1,2),[4,5)}', '[2:3]={1,2}', 'nm', 'c', 'ab', '10.0.0.1/8',
         '08:00:2b:01:02:03', '(1,-0)', '((0,0),(1,1))', '[(0,0),(1,1)]', '<(0,0),1>', '0/16', 5, '7', '$[0]', 'a & b', '12:00:00+02', E'tab\\t nl\\n back\\\\ quote'' ü😀'
        """;

    private const string Ordinary = """
        'ok', 1, ROW({r}, NULL)::$.pair, '{}', NULL, {r}.500, 1e300, 0, '2026-01-02 03:04:05.678', '0044-03-15 12:00:00 BC', '2026-02-28', '-1 year', 'null', '[1, "x", null]',
         '00000', '', -0.01, '', '', 'empty', '{}', '[0:1][0:1]={{1,2},{3,4}}', '', '', '', '::1', 'ff:ff:ff:ff:ff:ff', '(NaN,Infinity)', '((1,1),(2,2))', '((1,1))', '<(1,1),0>',
         'FFFFFFFF/0', 0, '18446744073709551615', '$[*]', '!a', '00:00:00-15:59', ''
        """;

    private const string Mood = """
        CREATE TYPE $.mood AS ENUM ('sad', 'ok'); CREATE DOMAIN $.positive AS int CHECK (VALUE > 0); CREATE TYPE $.pair AS (a int, b text);
        """;

    /// <summary>Keyed by an integer, so that all of them can be in one group and move together.</summary>
    public static TableShape[] ByInteger { get; } =
    [
        Integer("plain", "CREATE TABLE $.plain (id bigint PRIMARY KEY, v text)", "UPDATE $.plain SET v = 'r{r}' WHERE {k}", "INSERT INTO $.plain VALUES ({v}, 'i{r}') ON CONFLICT (id) DO UPDATE SET v = 'again'", "DELETE FROM $.plain WHERE {k}", "UPDATE $.plain SET id = {n} WHERE {k}"),
        Integer(
            "keyless", "CREATE TABLE $.keyless (id int NOT NULL, v int, at timestamp DEFAULT '2020-01-01')", "INSERT INTO $.keyless VALUES ({v}, {r} % 2)", "INSERT INTO $.keyless VALUES ({v}, 1), ({v}, 1), ({v}, NULL)",
            "UPDATE $.keyless SET v = v + 1 WHERE {k}", "DELETE FROM $.keyless WHERE {k} AND v = {r} % 3", "UPDATE $.keyless SET id = {n} WHERE {k} AND v = 0"),
        Integer(
            "full", "CREATE TABLE $.full_identity (id int NOT NULL, big text, n int); ALTER TABLE $.full_identity REPLICA IDENTITY FULL; ALTER TABLE $.full_identity ALTER big SET STORAGE EXTERNAL",
            "INSERT INTO $.full_identity VALUES ({v}, repeat('x{r}', 2000), 0)", "UPDATE $.full_identity SET n = n + 1 WHERE {k}", "UPDATE $.full_identity SET big = repeat('y{r}', 3000) WHERE {k}", "DELETE FROM $.full_identity WHERE {k} AND n > 3") with { Name = "full_identity" },
        Integer(
            "toast", "CREATE TABLE $.toast (id int PRIMARY KEY, big text, bin bytea, doc jsonb, n int); ALTER TABLE $.toast ALTER big SET STORAGE EXTERNAL, ALTER bin SET STORAGE EXTERNAL",
            "INSERT INTO $.toast VALUES ({v}, repeat('x{r}', 9000), convert_to(repeat('y{r}', 9000), 'UTF8'), to_jsonb(repeat('z{r}', 9000)), 0) ON CONFLICT (id) DO UPDATE SET n = 0",
            "UPDATE $.toast SET n = n + 1 WHERE {k}", "UPDATE $.toast SET n = n + 1 WHERE {k}", "UPDATE $.toast SET id = {n} WHERE {k}", "UPDATE $.toast SET doc = doc || '1' WHERE {k}"),
        Integer("huge", "CREATE TABLE $.huge (id int PRIMARY KEY, v text, n int)", "INSERT INTO $.huge VALUES ({v}, repeat('{r} ', 700000), 0) ON CONFLICT (id) DO UPDATE SET n = $.huge.n + 1", "UPDATE $.huge SET n = n + 1 WHERE {k}", "DELETE FROM $.huge WHERE {k}"),
        Integer(
            "computed", "CREATE TABLE $.computed (v int, id int PRIMARY KEY, twice int GENERATED ALWAYS AS (v * 2) STORED, low text GENERATED ALWAYS AS (lower(t)) STORED, t text)",
            "INSERT INTO $.computed (id, v, t) VALUES ({v}, {r}, 'T{r}') ON CONFLICT (id) DO UPDATE SET v = 0", "UPDATE $.computed SET v = v + 1 WHERE {k}", "DELETE FROM $.computed WHERE {k}", "UPDATE $.computed SET id = {n} WHERE {k}"),
        Integer(
            "computed_keyless", "CREATE TABLE $.computed_keyless (id int NOT NULL, v int, twice int GENERATED ALWAYS AS (v * 2) STORED)", "INSERT INTO $.computed_keyless (id, v) VALUES ({v}, {r})",
            "UPDATE $.computed_keyless SET v = v + 1 WHERE {k}", "DELETE FROM $.computed_keyless WHERE {k} AND v % 3 = 0"),
        Integer(
            "types", Mood + """
            CREATE TABLE $.types (id int PRIMARY KEY, e $.mood, d $.positive, c $.pair, ea $.mood[], ca $.pair[], n numeric, f8 float8, f4 float4, ts timestamp, tz timestamptz, da date, iv interval, j json, jb jsonb,
                bi bit(5), vb varbit, m money, x xml, tv tsvector, r int4range, mr int4multirange, ar int[], nm name, ch "char", bp char(4), i inet, mac macaddr, pt point, bx box, p path, ci circle, ls pg_lsn,
                o oid, x8 xid8, jp jsonpath, tq tsquery, tt timetz, tx text)
            """,
            "INSERT INTO $.types VALUES ({v}, " + Special + ") ON CONFLICT (id) DO UPDATE SET n = 1", "DELETE FROM $.types WHERE {k} AND n = 1",
            "UPDATE $.types SET (e, d, c, ea, ca, n, f8, f4, ts, tz, da, iv, j, jb, bi, vb, m, x, tv, r, mr, ar, nm, ch, bp, i, mac, pt, bx, p, ci, ls, o, x8, jp, tq, tt, tx) = (" + Ordinary + ") WHERE {k}",
            "UPDATE $.types SET id = {n} WHERE {k}"),
        Integer(
            "deferred", "CREATE TABLE $.deferred (id int, v int, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO $.deferred VALUES ({v}, {r})", "UPDATE $.deferred SET v = v + 1 WHERE {k}", "DELETE FROM $.deferred WHERE {k}"),
        Integer(
            "uniques", "CREATE TABLE $.uniques (id int NOT NULL, v int, w text, UNIQUE (id, v), UNIQUE NULLS NOT DISTINCT (id, w)); CREATE UNIQUE INDEX ON $.uniques (id, lower(w)); CREATE UNIQUE INDEX ON $.uniques (id) WHERE v = 5",
            "INSERT INTO $.uniques VALUES ({v}, {r} % 7, 'w{r}') ON CONFLICT DO NOTHING", "UPDATE $.uniques SET v = v + 1000 WHERE {k} AND v = {r} % 7", "DELETE FROM $.uniques WHERE {k} AND v > 1002"),
        Integer(
            "reordered", "CREATE TABLE $.reordered (gone int, id int PRIMARY KEY, old text, c int); ALTER TABLE $.reordered DROP gone, DROP old, ADD d text DEFAULT 'added'", "INSERT INTO $.reordered VALUES ({v}, {r}) ON CONFLICT (id) DO UPDATE SET d = 'x'",
            "UPDATE $.reordered SET c = c + 1 WHERE {k}", "DELETE FROM $.reordered WHERE {k}"),
        Integer(
            "triggered", """
            CREATE TABLE $.triggered (id int PRIMARY KEY, v text, log text);
            CREATE FUNCTION $.mark() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.log := coalesce(NEW.log, '') || left(TG_OP, 1); RETURN NEW; END $f$;
            CREATE TRIGGER mark BEFORE INSERT OR UPDATE ON $.triggered FOR EACH ROW EXECUTE FUNCTION $.mark();
            CREATE TRIGGER off BEFORE INSERT OR UPDATE ON $.triggered FOR EACH ROW EXECUTE FUNCTION $.mark(); ALTER TABLE $.triggered DISABLE TRIGGER off
            """,
            "INSERT INTO $.triggered VALUES ({v}, 'a') ON CONFLICT (id) DO UPDATE SET v = 'b'", "UPDATE $.triggered SET v = '{r}' WHERE {k}", "DELETE FROM $.triggered WHERE {k}"),
        Integer("identified", "CREATE TABLE $.identified (id int PRIMARY KEY, no bigint GENERATED ALWAYS AS IDENTITY, s serial)", "INSERT INTO $.identified (id, no, s) OVERRIDING SYSTEM VALUE VALUES ({v}, {r}, 1) ON CONFLICT (id) DO UPDATE SET s = 2", "UPDATE $.identified SET s = s + 1 WHERE {k}", "DELETE FROM $.identified WHERE {k}"),
        Integer(
            "parent", "CREATE TABLE $.parent (id int PRIMARY KEY, v int)", "INSERT INTO $.parent VALUES ({v}, 0) ON CONFLICT (id) DO UPDATE SET v = {r}", "DELETE FROM $.parent WHERE {k}", "UPDATE $.parent SET v = v + 1 WHERE {k}"),
        Integer(
            "child", "CREATE TABLE $.child (id int REFERENCES $.parent ON DELETE CASCADE, n int, code int REFERENCES $.code, PRIMARY KEY (id, n))", "INSERT INTO $.child VALUES ({v}, {r} % 5, 1) ON CONFLICT DO NOTHING",
            "UPDATE $.child SET code = 2 WHERE {k}", "DELETE FROM $.child WHERE {k} AND n = 3"),
        Integer("\"Odd \"\"name\"", "CREATE TABLE $.\"Odd \"\"name\" (\"from\" text, id int PRIMARY KEY, \"a\"\"b\" int)", "INSERT INTO $.\"Odd \"\"name\" VALUES ('x', {v}, {r}) ON CONFLICT (id) DO UPDATE SET \"from\" = 'y'", "UPDATE $.\"Odd \"\"name\" SET \"a\"\"b\" = {r} WHERE {k}", "DELETE FROM $.\"Odd \"\"name\" WHERE {k}"),
        Integer("stored", "CREATE TABLE $.stored (id int PRIMARY KEY, v text) WITH (fillfactor = 40, autovacuum_enabled = off, toast.autovacuum_enabled = off); CREATE STATISTICS $.stored_ids ON id, v FROM $.stored", "INSERT INTO $.stored VALUES ({v}, '{r}') ON CONFLICT (id) DO UPDATE SET v = '{r}'", "DELETE FROM $.stored WHERE {k}"),
        Integer(
            "parted", """
            CREATE TABLE $.parted (id int NOT NULL, d date NOT NULL, region text NOT NULL DEFAULT 'eu', v text, PRIMARY KEY (id, d, region)) PARTITION BY RANGE (d);
            CREATE TABLE $.parted_20 PARTITION OF $.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
            CREATE TABLE $.parted_21 PARTITION OF $.parted FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY LIST (region);
            CREATE TABLE $.parted_21_eu PARTITION OF $.parted_21 FOR VALUES IN ('eu');
            CREATE TABLE $.parted_21_rest PARTITION OF $.parted_21 DEFAULT PARTITION BY HASH (id);
            CREATE TABLE $.parted_21_even PARTITION OF $.parted_21_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE $.parted_21_odd PARTITION OF $.parted_21_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            CREATE TABLE $.parted_22 (v text, gone int, region text NOT NULL DEFAULT 'eu', d date NOT NULL, id int NOT NULL); ALTER TABLE $.parted_22 DROP gone;
            ALTER TABLE $.parted ATTACH PARTITION $.parted_22 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
            CREATE TABLE $.parted_else PARTITION OF $.parted DEFAULT; CREATE INDEX ON $.parted (v)
            """,
            "INSERT INTO $.parted VALUES ({v}, date '2019-06-01' + {r}, (ARRAY['eu', 'us'])[1 + {r} % 2], 'v{r}') ON CONFLICT DO NOTHING", "INSERT INTO $.parted_22 (id, d, v) VALUES ({v}, '2022-05-05', 'direct{r}') ON CONFLICT DO NOTHING",
            "UPDATE $.parted SET d = date '2019-06-01' + {r} WHERE {k} AND v LIKE 'direct%'",
            "UPDATE $.parted SET v = v || '!' WHERE {k}", "DELETE FROM $.parted WHERE {k} AND d > '2021-06-01'", "UPDATE $.parted SET id = {n} WHERE {k}"),
        Integer(
            "parted_keyless", """
            CREATE TABLE $.parted_keyless (id int NOT NULL, x int, big text) PARTITION BY LIST (x);
            CREATE TABLE $.parted_keyless_1 PARTITION OF $.parted_keyless FOR VALUES IN (0, 1); CREATE TABLE $.parted_keyless_n PARTITION OF $.parted_keyless FOR VALUES IN (NULL); CREATE TABLE $.parted_keyless_d PARTITION OF $.parted_keyless DEFAULT
            """,
            "INSERT INTO $.parted_keyless VALUES ({v}, {r} % 4, 'b'), ({v}, NULL, 'b')", "UPDATE $.parted_keyless SET x = x + 1 WHERE {k}", "UPDATE $.parted_keyless SET x = 0 WHERE {k} AND x IS NULL", "DELETE FROM $.parted_keyless WHERE {k} AND x > 2", "UPDATE $.parted_keyless SET id = {n} WHERE {k} AND x = 1"),
    ];

    /// <summary>Keys of other types, each a group of its own.</summary>
    public static TableShape[] ByOtherKeys { get; } =
    [
        Others("by_text", "k", "k text PRIMARY KEY", Odd),
        Others("by_uuid", "k", "k uuid PRIMARY KEY", i => string.Create(CultureInfo.InvariantCulture, $"'{new Guid((uint)i * 2_654_435_761u, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}'")),
        Others("by_three", "k, l, m", "k text, l int, m uuid, PRIMARY KEY (m, k, l)", i => $"{Odd(i)}, {-i}, '{new Guid((uint)i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}'"),
        Others("range_int", "k", "k int PRIMARY KEY", i => string.Create(CultureInfo.InvariantCulture, $"{(i * 7919) - 400_000}")) with { Method = "RANGE" },
        Others("range_text", "k", "k text COLLATE \"C\" PRIMARY KEY", Odd) with { Method = "RANGE" },
        Others("range_date", "k", "k date PRIMARY KEY", i => i == 3 ? "'infinity'" : $"'{new DateTime(2026, 1, 1).AddDays((i * 37 % 3000) - 1500):yyyy-MM-dd}'") with { Method = "RANGE" },
        Others("range_pair", "k, l", "k int, l text, PRIMARY KEY (k, l)", i => string.Create(CultureInfo.InvariantCulture, $"{i % 10}, 'l{i}'")) with { Method = "RANGE" },
    ];

    private static TableShape Integer(string name, string ddl, params string[] statements) =>
        new(name, ddl, "id", i => i.ToString(CultureInfo.InvariantCulture), statements);

    private static TableShape Others(string name, string key, string columns, Func<int, string> keyOf) => new(
        name, $"CREATE TABLE $.{name} ({columns}, v text, n int)", key, keyOf,
        [$"INSERT INTO $.{name} ({key}, v, n) VALUES ({{v}}, 'v{{r}}', 0) ON CONFLICT DO NOTHING", $"UPDATE $.{name} SET n = n + 1, v = 'u{{r}}' WHERE {{k}}", $"DELETE FROM $.{name} WHERE {{k}}", $"UPDATE $.{name} SET v = NULL WHERE {{k}}"]);

    private static string Odd(int i) => i switch
    {
        0 => "''",
        1 => "' '",
        2 => "'it''s \"quoted\" {braces}'",
        3 => "'ünïcödé😀'",
        4 => "'NULL'",
        5 => @"'back\slash'",
        _ => string.Create(CultureInfo.InvariantCulture, $"'{(char)('!' + (i % 6))}{(char)(0x4e00 + i)}{i}'"),
    };
}
