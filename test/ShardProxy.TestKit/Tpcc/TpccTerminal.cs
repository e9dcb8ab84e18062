using Npgsql;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.TestKit.Tpcc;

/// <summary>
/// One terminal: a client at its home warehouse that runs the five transactions (clause 2) as ordinary SQL in blocks, without waiting between them. A
/// transaction that the server gives up for a deadlock or a conflict is run again, as the specification allows; any other error is a finding.
/// </summary>
internal sealed class TpccTerminal(NpgsqlConnection connection, TpccSize size, int home, int seed, TpccCounts counts)
{
    private const string Deadlock = "40P01", Conflict = "40001";

    // Constants of the non-uniform choice (clause 2.1.6).
    private const int ItemConstant = 5_987, CustomerConstant = 259, NameConstant = 173;

    private readonly Dice _dice = new(seed);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var choice = _dice.Number(1, 100);
            var kind = choice switch { <= 45 => TpccKind.NewOrder, <= 88 => TpccKind.Payment, <= 92 => TpccKind.OrderStatus, <= 96 => TpccKind.Delivery, _ => TpccKind.StockLevel };
            Func<Task> transaction = kind switch
            {
                TpccKind.NewOrder => NewOrder(),
                TpccKind.Payment => Payment(),
                TpccKind.OrderStatus => OrderStatusAsync,
                TpccKind.Delivery => DeliveryAsync,
                _ => StockLevelAsync,
            };
            var time = System.Diagnostics.Stopwatch.StartNew();
            while (!await TryAsync(transaction))
            {
                counts.Retried();
            }

            counts.Took(kind, time.Elapsed.TotalMilliseconds);
        }
    }

    private async Task<bool> TryAsync(Func<Task> transaction)
    {
        await RunAsync("BEGIN");
        try
        {
            await transaction();
            return true;
        }
        catch (PostgresException e) when (e.SqlState is Deadlock or Conflict)
        {
            await RunAsync("ROLLBACK");
            return false;
        }
    }

    // Clause 2.4. What is ordered is chosen once: a retry orders the same.
    private Func<Task> NewOrder()
    {
        var (district, customer) = (_dice.Number(1, TpccSize.Districts), Customer());
        var lines = Enumerable.Range(0, _dice.Number(5, 15))
            .Select(_ => (Item: NonUniform(8_191, ItemConstant, 1, size.Items), Supply: Remote(1), Quantity: _dice.Number(1, 10)))
            .OrderBy(l => l.Supply).ThenBy(l => l.Item).ToList();
        if (_dice.Chance(1))
        {
            lines[^1] = lines[^1] with { Item = size.Items + 1 };
        }

        return () => NewOrderAsync(district, customer, lines);
    }

    private async Task NewOrderAsync(int district, int customer, List<(int Item, int Supply, int Quantity)> lines)
    {
        await OneAsync("SELECT w_tax FROM warehouse WHERE w_id = $1", home);
        var order = (int)(await OneAsync("UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = $1 AND d_id = $2 RETURNING d_next_o_id - 1, d_tax", home, district))![0];
        await OneAsync("SELECT c_discount, c_last, c_credit FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3", home, district, customer);
        await RunAsync(
            "INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_carrier_id, o_ol_cnt, o_all_local) VALUES ($1, $2, $3, $4, localtimestamp, NULL, $5, $6)",
            home, district, order, customer, lines.Count, lines.TrueForAll(l => l.Supply == home) ? 1 : 0);
        await RunAsync("INSERT INTO new_order (no_w_id, no_d_id, no_o_id) VALUES ($1, $2, $3)", home, district, order);
        for (var i = 0; i < lines.Count; i++)
        {
            var (item, supply, quantity) = lines[i];
            if (await OneAsync("SELECT i_price, i_name, i_data FROM item WHERE i_id = $1", item) is not { } found)
            {
                await RunAsync("ROLLBACK");
                return;
            }

            var stock = (await OneAsync("SELECT s_quantity, s_data, s_dist FROM stock WHERE s_w_id = $1 AND s_i_id = $2 FOR UPDATE", supply, item))!;
            var left = (int)stock[0] - quantity;
            await RunAsync(
                "UPDATE stock SET s_quantity = $1, s_ytd = s_ytd + $2, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $3 WHERE s_w_id = $4 AND s_i_id = $5",
                left >= 10 ? left : left + 91, quantity, supply == home ? 0 : 1, supply, item);
            await RunAsync(
                """
                INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_dist_info) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                home, district, order, i + 1, item, supply, quantity, quantity * (decimal)found[0], stock[2]);
        }

        await RunAsync("COMMIT");
        counts.Ordered();
    }

    // Clause 2.5.
    private Func<Task> Payment()
    {
        var district = _dice.Number(1, TpccSize.Districts);
        var warehouse = Remote(15);
        var customerDistrict = warehouse == home ? district : _dice.Number(1, TpccSize.Districts);
        var (name, customer, amount) = (_dice.Chance(60) ? Name() : null, Customer(), _dice.Number(100, 500_000) / 100m);
        return () => PaymentAsync(district, warehouse, customerDistrict, name, customer, amount);
    }

    private async Task PaymentAsync(int district, int warehouse, int customerDistrict, string? name, int customer, decimal amount)
    {
        await OneAsync("UPDATE warehouse SET w_ytd = w_ytd + $1 WHERE w_id = $2 RETURNING w_name, w_street_1, w_city, w_state, w_zip", amount, home);
        await OneAsync("UPDATE district SET d_ytd = d_ytd + $1 WHERE d_w_id = $2 AND d_id = $3 RETURNING d_name, d_street_1, d_city", amount, home, district);
        customer = name is null ? customer : await ByNameAsync(warehouse, customerDistrict, name) ?? customer;
        var paid = (await OneAsync(
            """
            UPDATE customer SET c_balance = c_balance - $1, c_ytd_payment = c_ytd_payment + $1, c_payment_cnt = c_payment_cnt + 1
            WHERE c_w_id = $2 AND c_d_id = $3 AND c_id = $4 RETURNING c_credit, c_last, c_data
            """,
            amount, warehouse, customerDistrict, customer))!;
        if ((string)paid[0] == "BC")
        {
            var data = $"{customer} {customerDistrict} {warehouse} {district} {home} {amount} {paid[2]}";
            await RunAsync("UPDATE customer SET c_data = $1 WHERE c_w_id = $2 AND c_d_id = $3 AND c_id = $4", data[..Math.Min(500, data.Length)], warehouse, customerDistrict, customer);
        }

        await RunAsync(
            "INSERT INTO history (h_c_id, h_c_d_id, h_c_w_id, h_d_id, h_w_id, h_date, h_amount, h_data) VALUES ($1, $2, $3, $4, $5, localtimestamp, $6, $7)",
            customer, customerDistrict, warehouse, district, home, amount, "a payment");
        await RunAsync("COMMIT");
        counts.Paid(amount);
    }

    // Clause 2.6.
    private async Task OrderStatusAsync()
    {
        var district = _dice.Number(1, TpccSize.Districts);
        var customer = _dice.Chance(60) ? await ByNameAsync(home, district, Name()) ?? Customer() : Customer();
        await OneAsync("SELECT c_balance, c_first, c_middle, c_last FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3", home, district, customer);
        if (await OneAsync(
            "SELECT o_id, o_entry_d, o_carrier_id FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1", home, district, customer) is { } order)
        {
            await ManyAsync("SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3", home, district, order[0]);
        }

        await RunAsync("COMMIT");
    }

    // Clause 2.7: the oldest order of each district. One that another terminal has just delivered is left out.
    private async Task DeliveryAsync()
    {
        var carrier = _dice.Number(1, 10);
        for (var district = 1; district <= TpccSize.Districts; district++)
        {
            if (await OneAsync(
                """
                DELETE FROM new_order WHERE no_w_id = $1 AND no_d_id = $2 AND no_o_id = (SELECT min(no_o_id) FROM new_order WHERE no_w_id = $1 AND no_d_id = $2) RETURNING no_o_id
                """,
                home, district) is not { } oldest)
            {
                continue;
            }

            var customer = (await OneAsync("UPDATE orders SET o_carrier_id = $1 WHERE o_w_id = $2 AND o_d_id = $3 AND o_id = $4 RETURNING o_c_id", carrier, home, district, oldest[0]))![0];
            await RunAsync("UPDATE order_line SET ol_delivery_d = localtimestamp WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3", home, district, oldest[0]);
            var amount = (await OneAsync("SELECT sum(ol_amount) FROM order_line WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3", home, district, oldest[0]))![0];
            await RunAsync(
                "UPDATE customer SET c_balance = c_balance + $1, c_delivery_cnt = c_delivery_cnt + 1 WHERE c_w_id = $2 AND c_d_id = $3 AND c_id = $4", amount, home, district, customer);
        }

        await RunAsync("COMMIT");
    }

    // Clause 2.8.
    private async Task StockLevelAsync()
    {
        var (district, threshold) = (_dice.Number(1, TpccSize.Districts), _dice.Number(10, 20));
        var next = (int)(await OneAsync("SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2", home, district))![0];
        await OneAsync(
            """
            SELECT count(DISTINCT s_i_id) FROM order_line, stock
            WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id < $3 AND ol_o_id >= $3 - 20 AND s_w_id = $1 AND s_i_id = ol_i_id AND s_quantity < $4
            """,
            home, district, next, threshold);
        await RunAsync("COMMIT");
    }

    // The middle one of those with that name, by first name.
    private async Task<int?> ByNameAsync(int warehouse, int district, string name)
    {
        var found = await ManyAsync("SELECT c_id FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first", warehouse, district, name);
        return found.Count > 0 ? (int)found[found.Count / 2][0] : null;
    }

    private int Remote(int percent)
    {
        if (size.Warehouses == 1 || !_dice.Chance(percent))
        {
            return home;
        }

        var other = _dice.Number(1, size.Warehouses - 1);
        return other >= home ? other + 1 : other;
    }

    private int Customer() => NonUniform(1_023, CustomerConstant, 1, size.Customers);

    private string Name() => TpccTables.LastName(NonUniform(255, NameConstant, 0, Math.Min(999, size.Customers - 1)));

    private int NonUniform(int mask, int constant, int from, int to) => (((_dice.Number(0, mask) | _dice.Number(from, to)) + constant) % (to - from + 1)) + from;

    private async Task<object[]?> OneAsync(string sql, params object[] parameters) => (await ManyAsync(sql, parameters)).FirstOrDefault();

    private Task RunAsync(string sql, params object[] parameters) => ManyAsync(sql, parameters);

    private async Task<List<object[]>> ManyAsync(string sql, params object[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        }

        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        var rows = new List<object[]>();
        while (await reader.ReadAsync(CancellationToken.None))
        {
            var row = new object[reader.FieldCount];
            reader.GetValues(row);
            rows.Add(row);
        }

        return rows;
    }
}
