using System.Globalization;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.TestKit.Tpch;

/// <summary>
/// Rows of the TPC-H tables in COPY's text format, from a seed: the distributions, the ranges and the dependencies between columns are the specification's
/// (clause 4.2.3), the random numbers and the text of comments our own.
/// </summary>
internal sealed class TpchData
{
    private static readonly DateOnly FirstDate = new(1992, 1, 1), LastDate = new(1998, 12, 31), CurrentDate = new(1995, 6, 17);

    private readonly int _seed;
    private readonly int _suppliers;
    private readonly int _parts;
    private readonly int _customers;
    private readonly int _orders;

    public TpchData(double scale, int seed)
    {
        _seed = seed;
        _suppliers = Math.Max(40, (int)(10_000 * scale));
        _parts = Math.Max(400, (int)(200_000 * scale));
        _customers = Math.Max(300, (int)(150_000 * scale));
        _orders = _customers * 10;
    }

    /// <summary>Rows of a table. The same each time.</summary>
    public IEnumerable<string> Rows(string table) => table switch
    {
        "region" => TpchWords.Regions.Select((name, key) => Row(key, name, "a region")),
        "nation" => TpchWords.Nations.Select((n, key) => Row(key, n.Name, n.Region, "a nation")),
        "supplier" => Suppliers(new Dice(_seed)),
        "part" => Parts(new Dice(_seed + 1)),
        "partsupp" => PartSuppliers(new Dice(_seed + 2)),
        "customer" => Customers(new Dice(_seed + 3)),
        "orders" => Orders(new Dice(_seed + 4)).Select(o => o.Order),
        _ => Orders(new Dice(_seed + 4)).SelectMany(o => o.Lines),
    };

    private IEnumerable<string> Suppliers(Dice dice)
    {
        for (var key = 1; key <= _suppliers; key++)
        {
            var nation = dice.Number(0, 24);
            var comment = Text(dice, 60);

            // 5 of 10,000 complain, 5 recommend; here of every 2,000, for small scales too.
            comment = (key % 2_000) switch { 17 => comment[..20] + "Customer Complaints", 29 => comment[..20] + "Customer Recommends", _ => comment };
            yield return Row(key, $"Supplier#{key:D9}", Text(dice, 20), nation, Phone(dice, nation), Cents(dice.Number(-99_999, 999_999)), comment);
        }
    }

    private IEnumerable<string> Parts(Dice dice)
    {
        for (var key = 1; key <= _parts; key++)
        {
            var maker = dice.Number(1, 5);
            yield return Row(
                key,
                string.Join(' ', dice.Some(TpchWords.Colors, 5, 5)),
                $"Manufacturer#{maker}",
                $"Brand#{maker}{dice.Number(1, 5)}",
                $"{dice.Of(TpchWords.Types1)} {dice.Of(TpchWords.Types2)} {dice.Of(TpchWords.Types3)}",
                dice.Number(1, 50),
                $"{dice.Of(TpchWords.Containers1)} {dice.Of(TpchWords.Containers2)}",
                Cents(RetailCents(key)),
                Text(dice, 14));
        }
    }

    private IEnumerable<string> PartSuppliers(Dice dice)
    {
        for (var part = 1; part <= _parts; part++)
        {
            for (var i = 0; i < 4; i++)
            {
                yield return Row(part, SupplierOf(part, i), dice.Number(1, 9_999), Cents(dice.Number(100, 100_000)), Text(dice, 80));
            }
        }
    }

    private IEnumerable<string> Customers(Dice dice)
    {
        for (var key = 1; key <= _customers; key++)
        {
            var nation = dice.Number(0, 24);
            yield return Row(
                key, $"Customer#{key:D9}", Text(dice, 20), nation, Phone(dice, nation), Cents(dice.Number(-99_999, 999_999)), dice.Of(TpchWords.Segments), Text(dice, 60));
        }
    }

    private IEnumerable<(string Order, List<string> Lines)> Orders(Dice dice)
    {
        for (var i = 0; i < _orders; i++)
        {
            // The first 8 of every 32 keys are used. A third of the customers has no orders.
            var key = (i / 8 * 32) + (i % 8) + 1L;
            var customer = dice.Number(1, _customers);
            customer -= customer % 3 == 0 ? 1 : 0;
            var date = FirstDate.AddDays(dice.Number(0, LastDate.DayNumber - FirstDate.DayNumber - 151));
            var lines = new List<string>();
            var total = 0m;
            var (open, count) = (0, dice.Number(1, 7));
            for (var number = 1; number <= count; number++)
            {
                var part = dice.Number(1, _parts);
                var quantity = dice.Number(1, 50);
                var price = quantity * RetailCents(part);
                var (discount, tax) = (dice.Number(0, 10), dice.Number(0, 8));
                var shipped = date.AddDays(dice.Number(1, 121));
                var received = shipped.AddDays(dice.Number(1, 30));
                open += shipped > CurrentDate ? 1 : 0;
                total += Math.Round(price * (100 - discount) * (100 + tax) / 10_000m);
                lines.Add(Row(
                    key, part, SupplierOf(part, dice.Number(0, 3)), number, Cents(quantity * 100L), Cents(price), Cents(discount), Cents(tax),
                    received <= CurrentDate ? dice.Of("R", "A") : "N", shipped > CurrentDate ? "O" : "F", Date(shipped), Date(date.AddDays(dice.Number(30, 90))),
                    Date(received), dice.Of(TpchWords.Instructions), dice.Of(TpchWords.Modes), Text(dice, 30)));
            }

            var status = open == count ? "O" : open == 0 ? "F" : "P";
            yield return (
                Row(key, customer, status, Cents((long)total), Date(date), dice.Of(TpchWords.Priorities), $"Clerk#{dice.Number(1, Math.Max(1, _orders / 1_500)):D9}", 0, Text(dice, 50)),
                lines);
        }
    }

    // The specification spreads a part's four suppliers over all of them.
    private int SupplierOf(int part, int number) => ((part + (number * ((_suppliers / 4) + ((part - 1) / _suppliers)))) % _suppliers) + 1;

    private static long RetailCents(int part) => 90_000 + (part / 10 % 20_001) + (100 * (part % 1_000));

    private static string Phone(Dice dice, int nation) => $"{nation + 10}-{dice.Number(100, 999)}-{dice.Number(100, 999)}-{dice.Number(1_000, 9_999)}";

    private static string Text(Dice dice, int length)
    {
        var text = "";
        while (text.Length < length)
        {
            text += dice.Of(TpchWords.Comment) + " ";
        }

        return text[..length].TrimEnd().PadRight(length, '.');
    }

    private static string Cents(long cents) => (cents / 100m).ToString("0.00", CultureInfo.InvariantCulture);

    private static string Date(DateOnly date) => date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Row(params object[] values) => string.Join('\t', values.Select(v => Convert.ToString(v, CultureInfo.InvariantCulture)));
}
