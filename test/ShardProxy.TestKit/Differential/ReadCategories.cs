using static ShardProxy.TestKit.Differential.DifferentialTables;

namespace ShardProxy.TestKit.Differential;

/// <summary>SELECTs of one table: conditions, aggregates, groups, windows, order.</summary>
internal static class ReadCategories
{
    public static readonly (string Name, Func<Dice, Scenario> Make)[] All =
    [
        ("point reads", PointRead),
        ("key lists", KeyList),
        ("key ranges", KeyRanges),
        ("conditions", Conditions),
        ("null logic", NullLogic),
        ("row comparisons", RowComparisons),
        ("order and limit", OrderAndLimit),
        ("distinct", Distinct),
        ("distinct on", DistinctOn),
        ("aggregates", Aggregates),
        ("aggregate filter", AggregateFilter),
        ("group by", GroupBy),
        ("having", Having),
        ("grouping sets", GroupingSets),
        ("ordered-set aggregates", OrderedSets),
        ("windows", Windows),
        ("case and casts", CaseAndCasts),
    ];

    /// <summary>A condition that fixes a table's whole key, in one of many ways.</summary>
    public static string KeyCondition(Dice d, SqlTable table, string prefix = "")
    {
        string Value(string column) => table.Name switch
        {
            "visit" => $"'{UuidOf(d.Number(1, 45))}'",
            "\"Item\"" => $"'{CodeOf(d.Number(1, 45))}'",
            "shipment" when column == "region" => $"'{d.Of(Regions)}'",
            "shipment" => $"{d.Number(0, 14)}",
            "city" => $"'{d.Of(Cities)}'",
            _ => $"{d.Number(1, Customers + 4)}",
        };
        return table.Key is [var a, var b] && table != Orders
            ? d.Of($"{prefix}{a} = {Value(a)} AND {prefix}{b} = {Value(b)}", $"({prefix}{a}, {prefix}{b}) = ({Value(a)}, {Value(b)})")
            : d.Number(0, 2) switch
            {
                0 => $"{prefix}{table.Key[0]} IN ({Value(table.Key[0])})",
                1 => $"{prefix}{table.Key[0]} = ANY (ARRAY[{(table == Visit ? "uuid " : "")}{Value(table.Key[0])}])",
                _ => $"{prefix}{table.Key[0]} = {Value(table.Key[0])}",
            };
    }

    private static Scenario PointRead(Dice d)
    {
        var table = d.Of(Sharded);
        var source = QuerySource.Of(d, table);
        var e = new Expressions(d, source.Columns);
        return Scenario.Read($"SELECT {d.Of("*", e.Targets(1, 4), "count(*)")} FROM {source.From} WHERE {KeyCondition(d, table)}{(d.Chance(30) ? $" AND {e.Bool()}" : "")}");
    }

    private static Scenario KeyList(Dice d)
    {
        var ids = string.Join(", ", Enumerable.Range(0, d.Number(2, 7)).Select(_ => d.Chance(5) ? "NULL" : d.Chance(5) ? "3.0" : $"{d.Number(1, 66)}"));
        var condition = d.Number(0, 7) switch
        {
            0 => $"id IN ({ids})",
            1 => $"id = ANY (ARRAY[{ids}])",
            2 => $"id = {d.Number(1, 9)} OR id = {d.Number(10, 70)}",
            3 => $"id BETWEEN {d.Number(1, 20)} AND {d.Number(15, 40)}",
            4 => $"id = ANY ('{{{d.Number(1, 9)},{d.Number(1, 60)}}}')",
            5 => $"id > {d.Number(1, 30)} AND id <= {d.Number(20, 60)}",
            6 => $"(id IN ({ids}) OR name = 'c3') AND id < 40",
            _ => $"id = {d.Number(1, 9)} + 1",
        };
        var e = new Expressions(d, Customer.Columns);
        return Scenario.Read($"SELECT id, {e.Targets(1, 3)} FROM customer WHERE {condition}{(d.Chance(40) ? " ORDER BY id" : "")}", isOrdered: false);
    }

    private static string RangeOfKeys(Dice d) => d.Number(0, 5) switch
    {
        0 => $"id < {d.Number(0, 400)}",
        1 => $"id BETWEEN {d.Number(0, 20)} AND {d.Number(10, 1700)}",
        2 => $"id IN ({d.Number(1, 30)}, {d.Number(1, 40) * d.Number(1, 40)}, 400)",
        3 => $"id >= {d.Number(1, 900)} AND id <> 400",
        4 => $"(id, kind) > ({d.Number(1, 900)}, 'toy')",
        _ => $"id = {d.Number(1, 25)}",
    };

    private static Scenario KeyRanges(Dice d)
    {
        var e = new Expressions(d, Reading.Columns);
        return d.Number(0, 3) switch
        {
            0 => Scenario.Read($"SELECT kind, count(*), sum(value) FROM reading WHERE {RangeOfKeys(d)} GROUP BY kind"),
            1 => Scenario.Read($"SELECT id, value FROM reading WHERE {RangeOfKeys(d)} AND {e.Bool()} ORDER BY id {d.Of("", "DESC")} LIMIT {d.Number(1, 9)}", isOrdered: true),
            2 => Scenario.Read($"SELECT r.id, c.name FROM reading r LEFT JOIN customer c ON c.id = r.customer_id WHERE {RangeOfKeys(d).Replace("id", "r.id", StringComparison.Ordinal).Replace("kind", "r.kind", StringComparison.Ordinal)}"),
            _ => Scenario.Read($"SELECT {e.Targets(1, 4)} FROM reading WHERE {RangeOfKeys(d)} OR {RangeOfKeys(d)}"),
        };
    }

    private static Scenario Conditions(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        return Scenario.Read($"SELECT {d.Of("*", source.KeyList, e.Targets(1, 4))} FROM {source.From} WHERE {e.Bool(3)}");
    }

    private static Scenario NullLogic(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var column = e.Any();
        return Scenario.Read(d.Number(0, 3) switch
        {
            0 => $"SELECT {source.KeyList}, {column.Name} IS NULL, {e.Comparison()} AS b, ({e.Comparison()}) IS UNKNOWN FROM {source.From} WHERE NOT ({e.Bool()})",
            1 => $"SELECT {source.KeyList} FROM {source.From} WHERE ({e.Bool()}) IS NOT DISTINCT FROM ({e.Bool()})",
            2 => $"SELECT {source.KeyList}, coalesce({e.Text()}, {e.Text()}), num_nulls({column.Name}, {e.Any().Name}) FROM {source.From} WHERE {column.Name} IS NULL OR {e.Bool()}",
            _ => $"SELECT {source.KeyList} FROM {source.From} WHERE {e.Column(SqlType.Text)} NOT IN ('c1', {d.Of("NULL", "'Rome'")}) OR {e.Comparison()}",
        });
    }

    private static Scenario RowComparisons(Dice d) => Scenario.Read(d.Number(0, 5) switch
    {
        0 => $"SELECT id FROM customer WHERE (id, name) {d.Of("<", ">", "=", "<>", ">=")} ({d.Number(1, 60)}, '{d.Of("c1", "c5")}')",
        1 => $"SELECT region, no FROM shipment WHERE (region, no) IN (('north', {d.Number(0, 9)}), ('{d.Of(Regions)}', {d.Number(0, 9)}))",
        2 => $"SELECT * FROM shipment WHERE (region, no) {d.Of(">", "<=")} ('north', {d.Number(0, 9)})",
        3 => $"SELECT id FROM customer WHERE (city, name) IN (('Rome', 'c{d.Number(1, 9)}'), ('Oslo', 'c{d.Number(1, 9)}'), (NULL, 'c2'))",
        4 => $"SELECT id, ROW(city, credit) IS NULL, ROW(city, credit) IS NOT NULL FROM customer WHERE ROW(id, active) IS DISTINCT FROM ROW({d.Number(1, 60)}, true)",
        _ => $"SELECT customer_id, id FROM orders WHERE (customer_id, id) = ({d.Number(1, 60)}, {d.Number(1, 3)}) OR (customer_id, id) = ({d.Number(1, 60)}, 1)",
    });

    private static Scenario OrderAndLimit(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var keys = d.Some(source.Columns.Where(c => c.Type is not (SqlType.Json or SqlType.Float)).ToList(), 0, 2).Select(c => c.Name).Concat(d.Chance(25) ? [e.Text()] : [])
            .Select(k => $"{k}{d.Of("", " DESC", " ASC")}{d.Of("", "", " NULLS FIRST", " NULLS LAST")}");
        var order = string.Join(", ", keys.Concat(source.Key.Select(k => $"{k}{d.Of("", " DESC")}")));
        var limit = d.Number(0, 5) switch
        {
            0 => $" LIMIT {d.Number(0, 15)}",
            1 => $" LIMIT {d.Number(1, 15)} OFFSET {d.Number(0, 70)}",
            2 => $" OFFSET {d.Number(0, 70)}",
            3 => $" FETCH FIRST {d.Number(1, 9)} ROWS ONLY",
            4 => " LIMIT ALL",
            _ => "",
        };
        return Scenario.Read($"SELECT {d.Of("*", source.KeyList, e.Targets(1, 3))} FROM {source.From}{(d.Chance(50) ? $" WHERE {e.Bool(2)}" : "")} ORDER BY {order}{limit}", isOrdered: true);
    }

    private static Scenario Distinct(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var targets = string.Join(", ", d.Some(source.Columns, 1, 3).Select(c => c.Name).Append($"{e.Int()}"));
        return Scenario.Read($"SELECT DISTINCT {targets} FROM {source.From}{(d.Chance(50) ? $" WHERE {e.Bool(2)}" : "")}");
    }

    private static Scenario DistinctOn(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var by = e.Column(d.Of([SqlType.Text, SqlType.Int]));
        return Scenario.Read($"SELECT DISTINCT ON ({by}) {by}, {e.Any().Name} FROM {source.From}{(d.Chance(50) ? $" WHERE {e.Bool(2)}" : "")} ORDER BY {by}{d.Of("", " DESC NULLS LAST")}, {source.KeyList}", isOrdered: false);
    }

    private static Scenario Aggregates(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var list = string.Join(", ", Enumerable.Range(0, d.Number(1, 4)).Select(_ => e.Aggregate(source.KeyList)));
        return Scenario.Read($"SELECT {list} FROM {source.From}{(d.Chance(60) ? $" WHERE {e.Bool(2)}" : "")}");
    }

    private static Scenario AggregateFilter(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var list = string.Join(", ", Enumerable.Range(0, d.Number(1, 3)).Select(_ => $"{e.Aggregate(source.KeyList)} FILTER (WHERE {e.Bool()})"));
        return Scenario.Read(d.Chance(50) ? $"SELECT {list} FROM {source.From}" : $"SELECT {e.Column(SqlType.Text)} AS g, {list} FROM {source.From} WHERE {e.Bool()} GROUP BY 1");
    }

    private static Scenario GroupBy(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var by = d.Chance(60) ? e.Any().Name : e.Scalar(d.Of([SqlType.Text, SqlType.Int, SqlType.Bool]));
        var list = string.Join(", ", Enumerable.Range(0, d.Number(1, 3)).Select(_ => e.Aggregate(source.KeyList)));
        return Scenario.Read($"SELECT {by} AS g, {list} FROM {source.From}{(d.Chance(40) ? $" WHERE {e.Bool(2)}" : "")} GROUP BY {d.Of("1", "g")}".Replace("GROUP BY g", source.Columns.Any(c => c.Name == "g") ? "GROUP BY 1" : "GROUP BY g", StringComparison.Ordinal));
    }

    private static Scenario Having(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var by = e.Column(SqlType.Text);
        var isOrdered = d.Chance(50);
        return Scenario.Read(
            $"SELECT {by}, {e.Aggregate(source.KeyList)} FROM {source.From} GROUP BY {by} HAVING {d.Of("count(*) > 2", $"max({e.Int()}) > 3", $"bool_or({e.Bool()})", $"count(DISTINCT {e.Text()}) < 4")}"
                + (isOrdered ? $" ORDER BY {by}{d.Of("", " DESC", " NULLS FIRST")}{d.Of("", " LIMIT 3")}" : ""),
            isOrdered);
    }

    private static Scenario GroupingSets(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var columns = d.Some(source.Columns.Where(c => c.Type is SqlType.Text or SqlType.Int or SqlType.Date or SqlType.Bool).ToList(), 2, 2);
        var (a, b) = (columns[0].Name, columns[^1].Name);
        var sets = d.Of($"ROLLUP ({a}, {b})", $"CUBE ({a}, {b})", $"GROUPING SETS (({a}), ({b}), ())", $"{a}, ROLLUP ({b})");
        return Scenario.Read($"SELECT {a}, {b}, grouping({a}, {b}), {e.Aggregate(source.KeyList)} FROM {source.From}{(d.Chance(40) ? $" WHERE {e.Bool(2)}" : "")} GROUP BY {sets}");
    }

    private static Scenario OrderedSets(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var list = d.Of(
            $"percentile_cont({d.Of("0.5", "0.25", "ARRAY[0.1, 0.9]")}) WITHIN GROUP (ORDER BY {e.Int()})",
            $"percentile_disc({d.Of("0.5", "0.75")}) WITHIN GROUP (ORDER BY {e.Text()})",
            $"mode() WITHIN GROUP (ORDER BY {e.Column(SqlType.Text)})",
            $"rank({d.Number(1, 30)}) WITHIN GROUP (ORDER BY {e.Int()})",
            $"dense_rank('c3') WITHIN GROUP (ORDER BY {e.Text()} DESC)",
            $"corr({e.Int()}, {e.Int()}), regr_count({e.Int()}, {e.Int()}), var_pop({e.Int()})");
        return Scenario.Read($"SELECT {list} FROM {source.From}{(d.Chance(40) ? $" WHERE {e.Bool(2)}" : "")}");
    }

    private static Scenario Windows(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var order = $"ORDER BY {(d.Chance(50) ? e.Column(SqlType.Int) + d.Of("", " DESC NULLS LAST") + ", " : "")}{source.KeyList}";
        var window = $"({(d.Chance(60) ? $"PARTITION BY {e.Column(SqlType.Text)} " : "")}{order}{d.Of("", "", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS UNBOUNDED PRECEDING", " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW")})";
        var call = d.Of("row_number()", "rank()", "dense_rank()", "ntile(4)", "percent_rank()", $"lag({e.Any().Name})", $"lead({e.Int()}, 2, -1)", $"first_value({e.Any().Name})", $"nth_value({e.Text()}, 2)", $"sum({e.Int()})", $"count(*)", $"avg({e.Num()})", $"max({e.Text()})");
        var condition = d.Chance(40) ? $" WHERE {e.Bool(2)}" : "";
        return Scenario.Read(d.Number(0, 2) switch
        {
            0 => $"SELECT {source.KeyList}, {call} OVER w, count(*) OVER w AS n FROM {source.From}{condition} WINDOW w AS {window}",
            1 => $"SELECT * FROM (SELECT {source.KeyList}, {call} OVER {window} AS v, row_number() OVER {window} AS rn FROM {source.From}{condition}) s WHERE s.rn <= 3",
            _ => $"SELECT {source.KeyList}, {call} OVER {window} FROM {source.From}{condition}",
        });
    }

    private static Scenario CaseAndCasts(Dice d)
    {
        var source = QuerySource.Of(d, d.Of(Sharded));
        var e = new Expressions(d, source.Columns);
        var list = string.Join(", ", Enumerable.Range(1, d.Number(2, 4)).Select(i => d.Number(0, 7) switch
        {
            0 => $"CASE WHEN {e.Bool()} THEN {e.Text()} WHEN {e.Bool()} THEN {e.Text()} END AS v{i}",
            1 => $"({e.Num()})::int AS v{i}",
            2 => $"CAST({e.Int()} AS numeric(10,2)) AS v{i}",
            3 => $"({e.Date()})::timestamp AS v{i}",
            4 => $"({e.Text()})::varchar(3) AS v{i}",
            5 => $"({e.Bool()})::int AS v{i}",
            6 => $"({e.Int()})::float8 / 3 AS v{i}",
            _ => $"nullif({e.Text()}, {e.Text()}) AS v{i}",
        }));
        return Scenario.Read($"SELECT {list} FROM {source.From} WHERE {e.Bool(2)}");
    }
}
