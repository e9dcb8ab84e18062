namespace ShardProxy.TestKit.Tpcc;

/// <summary>The consistency conditions (clause 3.3.2) as queries for what breaks them: none has a row. The eleventh is one of the first rows only.</summary>
internal static class TpccConditions
{
    public static readonly (int Number, string Sql)[] All =
    [
        (1, "SELECT w_id, w_ytd, sum(d_ytd) FROM warehouse JOIN district ON d_w_id = w_id GROUP BY w_id, w_ytd HAVING w_ytd <> sum(d_ytd)"),
        (2,
            """
            SELECT d_w_id, d_id, d_next_o_id FROM district
            WHERE d_next_o_id - 1 <> (SELECT max(o_id) FROM orders WHERE o_w_id = d_w_id AND o_d_id = d_id)
                OR d_next_o_id - 1 <> (SELECT max(no_o_id) FROM new_order WHERE no_w_id = d_w_id AND no_d_id = d_id)
            """),
        (3, "SELECT no_w_id, no_d_id FROM new_order GROUP BY no_w_id, no_d_id HAVING max(no_o_id) - min(no_o_id) + 1 <> count(*)"),
        (4,
            """
            SELECT o_w_id, o_d_id, lines, n FROM (SELECT o_w_id, o_d_id, sum(o_ol_cnt) AS lines FROM orders GROUP BY o_w_id, o_d_id) o
            FULL JOIN (SELECT ol_w_id, ol_d_id, count(*) AS n FROM order_line GROUP BY ol_w_id, ol_d_id) l ON o_w_id = ol_w_id AND o_d_id = ol_d_id
            WHERE lines IS DISTINCT FROM n
            """),
        (5,
            """
            SELECT o_w_id, o_d_id, o_id FROM orders LEFT JOIN new_order ON no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id
            WHERE (o_carrier_id IS NULL) <> (no_o_id IS NOT NULL)
            """),
        (6,
            """
            SELECT o_w_id, o_d_id, o_id FROM orders LEFT JOIN (SELECT ol_w_id, ol_d_id, ol_o_id, count(*) AS n FROM order_line GROUP BY ol_w_id, ol_d_id, ol_o_id) l
            ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id WHERE o_ol_cnt IS DISTINCT FROM n
            """),
        (7,
            """
            SELECT ol_w_id, ol_d_id, ol_o_id, ol_number FROM order_line JOIN orders ON o_w_id = ol_w_id AND o_d_id = ol_d_id AND o_id = ol_o_id
            WHERE (ol_delivery_d IS NULL) <> (o_carrier_id IS NULL)
            """),
        (8, "SELECT w_id, w_ytd, sum(h_amount) FROM warehouse JOIN history ON h_w_id = w_id GROUP BY w_id, w_ytd HAVING w_ytd <> sum(h_amount)"),
        (9, "SELECT d_w_id, d_id, sum(h_amount) FROM district JOIN history ON h_w_id = d_w_id AND h_d_id = d_id GROUP BY d_w_id, d_id, d_ytd HAVING d_ytd <> sum(h_amount)"),
        (10,
            """
            WITH delivered AS (
                SELECT o_w_id, o_d_id, o_c_id, sum(ol_amount) AS amount FROM orders JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id
                WHERE ol_delivery_d IS NOT NULL GROUP BY o_w_id, o_d_id, o_c_id),
            paid AS (SELECT h_c_w_id, h_c_d_id, h_c_id, sum(h_amount) AS amount FROM history GROUP BY h_c_w_id, h_c_d_id, h_c_id)
            SELECT c_w_id, c_d_id, c_id, c_balance FROM customer LEFT JOIN delivered ON o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id
            LEFT JOIN paid ON h_c_w_id = c_w_id AND h_c_d_id = c_d_id AND h_c_id = c_id
            WHERE c_balance <> coalesce(delivered.amount, 0) - coalesce(paid.amount, 0)
            """),
        (12,
            """
            WITH delivered AS (
                SELECT o_w_id, o_d_id, o_c_id, sum(ol_amount) AS amount FROM orders JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id
                WHERE ol_delivery_d IS NOT NULL GROUP BY o_w_id, o_d_id, o_c_id)
            SELECT c_w_id, c_d_id, c_id FROM customer LEFT JOIN delivered ON o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id
            WHERE c_balance + c_ytd_payment <> coalesce(amount, 0)
            """),
    ];
}
