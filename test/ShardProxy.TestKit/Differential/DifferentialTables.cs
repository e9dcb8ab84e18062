using System.Globalization;

namespace ShardProxy.TestKit.Differential;

internal enum SqlType
{
    Int,
    Num,
    Text,
    Bool,
    Date,
    Time,
    Uuid,
    Float,
    Json,
    Ints,
    Texts,
    Range,
    Interval,
}

/// <summary>A column as the generator sees it; <see cref="Name"/> is quoted where it must be.</summary>
internal readonly record struct SqlColumn(string Name, SqlType Type);

/// <summary>One of the tables.</summary>
/// <param name="Name">As written in SQL.</param>
/// <param name="Key">Primary key columns.</param>
/// <param name="Place">How it is placed, as a console statement; null for an unsharded one.</param>
/// <param name="KeyHash">SQL for its place in the key space, null if it has none.</param>
/// <param name="Columns">All columns.</param>
internal sealed record SqlTable(string Name, string[] Key, string? Place, string? KeyHash, params SqlColumn[] Columns)
{
    public bool IsSharded => KeyHash is not null;

    public IEnumerable<SqlColumn> Of(SqlType type) => Columns.Where(c => c.Type == type);
}

/// <summary>
/// The tables of the differential tests: keys of int, text, uuid and of two columns, in five groups, one of them by ranges of its keys; co-located ones; a replicated and an
/// unsharded one; quoted names, NULLs, and columns of many types with values from small domains, so that joins and groups meet.
/// </summary>
internal static class DifferentialTables
{
    public const int Customers = 60;

    public static readonly SqlTable Customer = new(
        "customer", ["id"], "SHARD TABLE customer BY HASH (id)", "hashint8extended(id, 0)",
        new("id", SqlType.Int), new("name", SqlType.Text), new("city", SqlType.Text), new("credit", SqlType.Num), new("since", SqlType.Date),
        new("tags", SqlType.Texts), new("born", SqlType.Time), new("active", SqlType.Bool));

    public static readonly SqlTable Orders = new(
        "orders", ["customer_id", "id"], "SHARD TABLE orders BY HASH (customer_id) COLOCATE WITH customer", "hashint8extended(customer_id, 0)",
        new("id", SqlType.Int), new("customer_id", SqlType.Int), new("amount", SqlType.Num), new("note", SqlType.Text), new("placed", SqlType.Time), new("qty", SqlType.Int));

    public static readonly SqlTable Item = new(
        "\"Item\"", ["\"Code\""], "SHARD TABLE \"Item\" BY HASH (\"Code\")", "hashtextextended(\"Code\", 0)",
        new("\"Code\"", SqlType.Text), new("\"Unit Price\"", SqlType.Num), new("kind", SqlType.Text), new("data", SqlType.Json), new("weight", SqlType.Float),
        new("span", SqlType.Range), new("\"order\"", SqlType.Int));

    public static readonly SqlTable Visit = new(
        "visit", ["id"], "SHARD TABLE visit BY HASH (id)", "uuid_hash_extended(id, 0)",
        new("id", SqlType.Uuid), new("customer_id", SqlType.Int), new("page", SqlType.Text), new("at", SqlType.Time), new("took", SqlType.Interval), new("score", SqlType.Float));

    public static readonly SqlTable Shipment = new(
        "shipment", ["region", "no"], "SHARD TABLE shipment BY HASH (region, no)", "hashtextextended(region, hashint8extended(no, 0))",
        new("region", SqlType.Text), new("no", SqlType.Int), new("day", SqlType.Date), new("boxes", SqlType.Ints), new("cost", SqlType.Num), new("customer_id", SqlType.Int));

    public static readonly SqlTable Reading = new(
        "reading", ["id"], "SHARD TABLE reading BY RANGE (id)", "id",
        new("id", SqlType.Int), new("customer_id", SqlType.Int), new("kind", SqlType.Text), new("value", SqlType.Num), new("day", SqlType.Date));

    public static readonly SqlTable City = new(
        "city", ["name"], "REPLICATE TABLE city", null,
        new("name", SqlType.Text), new("country", SqlType.Text), new("people", SqlType.Int));

    public static readonly SqlTable Plain = new(
        "plain", ["id"], null, null,
        new("id", SqlType.Int), new("label", SqlType.Text), new("amount", SqlType.Num), new("on_day", SqlType.Date));

    public static readonly SqlTable[] All = [Customer, Orders, Item, Visit, Shipment, Reading, City, Plain];

    public static readonly SqlTable[] Sharded = [.. All.Where(t => t.IsSharded)];

    public static readonly string[] Cities = ["Rome", "Oslo", "Bern", "Ur", "Lima"];

    public static readonly string[] Kinds = ["tool", "toy", "food", "Tool"];

    public static readonly string[] Regions = ["north", "south", "east"];

    public const string Ddl = """
        CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, city text, credit numeric(12,2), since date, tags text[], born timestamptz, active bool);
        CREATE TABLE orders (id int, customer_id int NOT NULL, amount numeric(10,2), note text, placed timestamp, qty smallint CHECK (qty < 1000), PRIMARY KEY (customer_id, id));
        CREATE TABLE "Item" ("Code" text PRIMARY KEY, "Unit Price" numeric, kind varchar(20), data jsonb, weight float8, span int4range, "order" int);
        CREATE TABLE visit (id uuid PRIMARY KEY, customer_id int, page text DEFAULT 'home', at timestamptz, took interval, score real);
        CREATE TABLE shipment (region text, no int, day date, boxes int[], cost numeric, customer_id int, PRIMARY KEY (region, no));
        CREATE TABLE reading (id int PRIMARY KEY, customer_id int, kind text, value numeric, day date);
        CREATE TABLE city (name text PRIMARY KEY, country text, people int);
        CREATE SEQUENCE tickets;
        CREATE TABLE plain (id int PRIMARY KEY, label text, amount numeric(8,2), on_day date);
        """;

    public static string UuidOf(int i) => string.Create(CultureInfo.InvariantCulture, $"{i * 2654435761L % 4294967291L:x8}-0000-4000-8000-{i:x12}");

    public static string CodeOf(int i) => (i % 9) switch { 0 => $"it''s {i}", 1 => $"ü-{i}", _ => $"code{i}" };

    /// <summary>The rows to begin with, one statement each.</summary>
    public static IEnumerable<string> Rows(Dice dice)
    {
        yield return "INSERT INTO city VALUES ('Rome', 'IT', 3), ('Oslo', 'NO', 1), ('Bern', 'CH', NULL), ('Lima', 'PE', 10), ('Nome', NULL, 0)";
        yield return "INSERT INTO plain SELECT i, CASE WHEN i % 5 > 0 THEN 'c' || i % 23 END, i * 3.5, date '2024-01-01' + i FROM generate_series(1, 30) i";
        for (var i = 1; i <= Customers; i++)
        {
            yield return $"INSERT INTO customer VALUES ({CustomerRow(dice, i)})";
            for (var o = 1; o <= i % 4; o++)
            {
                yield return $"INSERT INTO orders VALUES ({OrderRow(dice, o, i)})";
            }
        }

        for (var i = 1; i <= 40; i++)
        {
            yield return $"INSERT INTO \"Item\" VALUES ({ItemRow(dice, i)})";
            yield return $"INSERT INTO visit VALUES ({VisitRow(dice, i)})";
            yield return $"INSERT INTO shipment VALUES ({ShipmentRow(dice, Regions[i % 3], i / 3)})";
            yield return $"INSERT INTO reading VALUES ({ReadingRow(dice, i < 20 ? i : i * i)})";
        }
    }

    public static string CustomerRow(Dice d, int id) =>
        $"{id}, 'c{id % 23}', {OrNull(d, 15, $"'{d.Of(Cities)}'")}, {OrNull(d, 10, $"{d.Number(-20, 50)}.{d.Number(0, 9)}0")}, {OrNull(d, 10, $"date '2020-01-01' + {d.Number(0, 60)}")}, {OrNull(d, 10, d.Of("'{a,b}'", "'{}'", "ARRAY['x,y', NULL]", "ARRAY['b']", "'{\"q\\\"x\"}'"))}, {OrNull(d, 10, $"timestamptz '2000-03-25 00:00+00' + interval '{d.Number(0, 90)} hours'")}, {OrNull(d, 20, d.Of("true", "false"))}";

    public static string OrderRow(Dice d, int id, int customer) =>
        $"{id}, {customer}, {OrNull(d, 10, $"{d.Number(0, 99)}.25")}, {OrNull(d, 25, d.Of("'n1'", "'tab\there'", "'line\nend'", "''", "'back\\slash'", "'ß'"))}, {OrNull(d, 10, $"timestamp '2024-02-28 12:00' + interval '{d.Number(0, 72)} hours'")}, {OrNull(d, 15, $"{d.Number(0, 12)}")}";

    public static string ItemRow(Dice d, int i) =>
        $"'{CodeOf(i)}', {OrNull(d, 10, d.Of("1", "1.0", "2.50", "19.99", "100", "-3"))}, {OrNull(d, 10, $"'{d.Of(Kinds)}'")}, {OrNull(d, 10, $"'{{\"a\": {d.Number(0, 5)}, \"b\": [1, {d.Number(0, 3)}, null], \"c\": {{\"d\": \"{d.Of("x", "y", "z")}\"}}}}'")}, {OrNull(d, 10, d.Of("0.1", "1e10", "'-0'", "3.25", "1.0/3", "2"))}, {OrNull(d, 15, $"int4range({d.Number(0, 5)}, {d.Number(6, 9)})")}, {OrNull(d, 10, $"{d.Number(1, 5)}")}";

    public static string VisitRow(Dice d, int i) =>
        $"'{UuidOf(i)}', {OrNull(d, 10, $"{d.Number(1, Customers + 5)}")}, '{d.Of("home", "cart", "help")}', {OrNull(d, 10, $"timestamptz '2024-03-30 20:00+00' + interval '{d.Number(0, 30)} hours'")}, {OrNull(d, 10, d.Of("'1 mon'", "'31 days'", "'1 day 02:03:04'", "'-1 day +1 hour'", "'00:00:00.5'"))}, {OrNull(d, 10, d.Of("0.1", "2.5", "1e5", "3"))}";

    public static string ShipmentRow(Dice d, string region, int no) =>
        $"'{region}', {no}, {OrNull(d, 10, $"date '2024-02-27' + {d.Number(0, 5)}")}, {OrNull(d, 10, d.Of("'{1,2,3}'", "'{}'", "'{5}'", "'{3,NULL}'", "'{2,2}'"))}, {OrNull(d, 10, d.Of("1.5", "1.50", "20", "0", "1e3"))}, {OrNull(d, 10, $"{d.Number(1, Customers)}")}";

    // Keys of several orders of magnitude: the first ranges of an empty table are each wider than the one before.
    public static string ReadingRow(Dice d, int id) =>
        $"{id}, {OrNull(d, 10, $"{d.Number(1, Customers)}")}, {OrNull(d, 10, $"'{d.Of(Kinds)}'")}, {OrNull(d, 10, $"{d.Number(0, 30)}.5")}, {OrNull(d, 10, $"date '2024-02-27' + {d.Number(0, 5)}")}";

    private static string OrNull(Dice dice, int percent, string value) => dice.Chance(percent) ? "NULL" : value;
}
