using System.Globalization;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.TestKit.Tpcc;

/// <summary>Size of the database.</summary>
/// <param name="Warehouses">How many.</param>
/// <param name="Items">Items, and stock rows of a warehouse; the specification's 100,000 or fewer.</param>
/// <param name="Customers">Customers, first orders and history rows of a district; the specification's 3,000 or fewer.</param>
internal sealed record TpccSize(int Warehouses, int Items, int Customers)
{
    public const int Districts = 10;

    /// <summary>Of a district's first orders so many have been delivered: the specification's 2,100 of 3,000.</summary>
    public int Delivered => Customers * 7 / 10;
}

/// <summary>
/// The nine tables of TPC Benchmark C (specification 5.11, clause 1.3), sharded by warehouse with the items everywhere, and their first rows (clause 4.3.3)
/// in COPY's text format, from a seed.
/// </summary>
internal static class TpccTables
{
    public const string Ddl =
        """
        CREATE TABLE warehouse (w_id int PRIMARY KEY, w_name varchar(10), w_street_1 varchar(20), w_city varchar(20), w_state char(2), w_zip char(9), w_tax numeric(4,4), w_ytd numeric(12,2));
        CREATE TABLE district (d_w_id int NOT NULL, d_id int NOT NULL, d_name varchar(10), d_street_1 varchar(20), d_city varchar(20), d_tax numeric(4,4),
            d_ytd numeric(12,2), d_next_o_id int, PRIMARY KEY (d_w_id, d_id));
        CREATE TABLE customer (c_w_id int NOT NULL, c_d_id int NOT NULL, c_id int NOT NULL, c_first varchar(16), c_middle char(2), c_last varchar(16), c_since timestamp,
            c_credit char(2), c_credit_lim numeric(12,2), c_discount numeric(4,4), c_balance numeric(12,2), c_ytd_payment numeric(12,2), c_payment_cnt int, c_delivery_cnt int,
            c_data varchar(500), PRIMARY KEY (c_w_id, c_d_id, c_id));
        CREATE TABLE history (h_c_id int, h_c_d_id int, h_c_w_id int, h_d_id int, h_w_id int NOT NULL, h_date timestamp, h_amount numeric(6,2), h_data varchar(24));
        CREATE TABLE orders (o_w_id int NOT NULL, o_d_id int NOT NULL, o_id int NOT NULL, o_c_id int, o_entry_d timestamp, o_carrier_id int, o_ol_cnt int, o_all_local int,
            PRIMARY KEY (o_w_id, o_d_id, o_id));
        CREATE TABLE new_order (no_w_id int NOT NULL, no_d_id int NOT NULL, no_o_id int NOT NULL, PRIMARY KEY (no_w_id, no_d_id, no_o_id));
        CREATE TABLE item (i_id int PRIMARY KEY, i_im_id int, i_name varchar(24), i_price numeric(5,2), i_data varchar(50));
        CREATE TABLE stock (s_w_id int NOT NULL, s_i_id int NOT NULL, s_quantity int, s_dist char(24), s_ytd int, s_order_cnt int, s_remote_cnt int, s_data varchar(50),
            PRIMARY KEY (s_w_id, s_i_id));
        CREATE TABLE order_line (ol_w_id int NOT NULL, ol_d_id int NOT NULL, ol_o_id int NOT NULL, ol_number int NOT NULL, ol_i_id int, ol_supply_w_id int, ol_delivery_d timestamp,
            ol_quantity int, ol_amount numeric(6,2), ol_dist_info char(24), PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number));
        CREATE INDEX customer_name ON customer (c_w_id, c_d_id, c_last, c_first);
        CREATE INDEX orders_customer ON orders (o_w_id, o_d_id, o_c_id, o_id);
        """;

    /// <summary>In the order in which their rows can be put in.</summary>
    public static readonly string[] Names = ["item", "warehouse", "district", "customer", "history", "stock", "orders", "new_order", "order_line"];

    public static readonly string[] Placement =
    [
        "REPLICATE TABLE item",
        "SHARD TABLE warehouse BY HASH (w_id)",
        "SHARD TABLE district BY HASH (d_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE customer BY HASH (c_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE history BY HASH (h_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE orders BY HASH (o_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE new_order BY HASH (no_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE stock BY HASH (s_w_id) COLOCATE WITH warehouse",
        "SHARD TABLE order_line BY HASH (ol_w_id) COLOCATE WITH warehouse",
    ];

    private const string Now = "2026-01-01 00:00:00";
    private const string Null = "\\N";

    private static readonly string[] Syllables = ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];

    /// <summary>A customer's last name, of a number from 0 to 999.</summary>
    public static string LastName(int number) => Syllables[number / 100] + Syllables[number / 10 % 10] + Syllables[number % 10];

    /// <summary>First rows of a table. The same each time.</summary>
    public static IEnumerable<string> Rows(string table, TpccSize size, int seed)
    {
        var dice = new Dice(seed);
        return table switch
        {
            "item" => Enumerable.Range(1, size.Items).Select(i => Row(i, dice.Number(1, 10_000), $"item {i}", Money(dice.Number(100, 10_000)), dice.Chance(10) ? "an ORIGINAL thing" : "a thing")),
            "warehouse" => Warehouses(size).Select(w => Row(w, $"W{w}", "street", "city", "ST", "123411111", Money(dice.Number(0, 20)), Money(1_000L * size.Customers * TpccSize.Districts))),
            "district" => Districts(size).Select(d => Row(d.W, d.D, $"D{d.D}", "street", "city", Money(dice.Number(0, 20)), Money(1_000L * size.Customers), size.Customers + 1)),
            "stock" => Warehouses(size).SelectMany(w => Enumerable.Range(1, size.Items).Select(i => Row(w, i, dice.Number(10, 100), "distribution", 0, 0, 0, "stock data"))),
            "customer" => Districts(size).SelectMany(d => Enumerable.Range(1, size.Customers).Select(c => Row(
                d.W, d.D, c, $"first {dice.Number(1, 999_999)}", "OE", LastName(c <= 1_000 ? c - 1 : dice.Number(0, 999)), Now, dice.Chance(10) ? "BC" : "GC", "50000.00",
                Money(dice.Number(0, 50)), "-10.00", "10.00", 1, 0, "customer data"))),
            "history" => Districts(size).SelectMany(d => Enumerable.Range(1, size.Customers).Select(c => Row(c, d.D, d.W, d.D, d.W, Now, "10.00", "history data"))),
            "orders" => Orders(size, dice).Select(o => o.Order),
            "new_order" => Districts(size).SelectMany(d => Enumerable.Range(size.Delivered + 1, size.Customers - size.Delivered).Select(o => Row(d.W, d.D, o))),
            _ => Orders(size, new Dice(seed)).SelectMany(o => o.Lines),
        };
    }

    // Each district's customers have an order each, in shuffled order; the last 30 % are not delivered yet.
    private static IEnumerable<(string Order, List<string> Lines)> Orders(TpccSize size, Dice dice)
    {
        foreach (var (w, d) in Districts(size))
        {
            var customers = dice.Some(Enumerable.Range(1, size.Customers).ToList(), size.Customers, size.Customers);
            for (var o = 1; o <= size.Customers; o++)
            {
                var isDelivered = o <= size.Delivered;
                var count = dice.Number(5, 15);
                var lines = Enumerable.Range(1, count).Select(n => Row(
                    w, d, o, n, dice.Number(1, size.Items), w, isDelivered ? Now : Null, 5, isDelivered ? "0.00" : Money(dice.Number(1, 999_999)), "distribution")).ToList();
                yield return (Row(w, d, o, customers[o - 1], Now, isDelivered ? dice.Number(1, 10).ToString(CultureInfo.InvariantCulture) : Null, count, 1), lines);
            }
        }
    }

    private static IEnumerable<int> Warehouses(TpccSize size) => Enumerable.Range(1, size.Warehouses);

    private static IEnumerable<(int W, int D)> Districts(TpccSize size) => Warehouses(size).SelectMany(w => Enumerable.Range(1, TpccSize.Districts).Select(d => (w, d)));

    private static string Money(long cents) => (cents / 100m).ToString("0.00", CultureInfo.InvariantCulture);

    private static string Row(params object[] values) => string.Join('\t', values.Select(v => Convert.ToString(v, CultureInfo.InvariantCulture)));
}
