using System.Globalization;

namespace ShardProxy.TestKit.Differential;

/// <summary>Random expressions over the columns in sight that give the same value wherever and in whatever order rows are taken.</summary>
internal sealed class Expressions(Dice dice, IReadOnlyList<SqlColumn> columns)
{
    public string Column(SqlType type) => columns.Where(c => c.Type == type).ToList() is { Count: > 0 } fitting ? dice.Of(fitting).Name : Literal(type);

    /// <summary>Any column.</summary>
    public SqlColumn Any() => dice.Of(columns);

    public string Literal(SqlType type) => type switch
    {
        SqlType.Int => N(dice.Number(-2, 65)),
        SqlType.Num => dice.Of("0", "1.5", "10", "25.25", "-3.0", "1.0"),
        SqlType.Text => dice.Of("'Rome'", "'Oslo'", "'c1'", "'c5'", "'tool'", "'north'", "'home'", "''", "'n1'", "E'\\x63\\x37'"),
        SqlType.Bool => dice.Of("true", "false"),
        SqlType.Date => dice.Of("date '2020-01-20'", "date '2024-02-29'", "'2020-02-10'::date"),
        SqlType.Time => dice.Of("timestamp '2024-02-29 00:00'", "timestamptz '2000-03-26 12:00+02'", "'2024-03-31 01:00+00'::timestamptz"),
        SqlType.Uuid => $"'{DifferentialTables.UuidOf(dice.Number(1, 45))}'::uuid",
        SqlType.Float => dice.Of("0.5", "2::float8", "1e9"),
        SqlType.Json => dice.Of("'{\"a\": 1}'::jsonb", "'[1, 2]'::jsonb"),
        SqlType.Ints => dice.Of("ARRAY[1,2]", "'{5}'::int[]"),
        SqlType.Texts => dice.Of("ARRAY['a']", "'{b,c}'::text[]"),
        SqlType.Range => dice.Of("int4range(2, 4)", "'[3,8]'::int4range"),
        _ => dice.Of("interval '1 day'", "interval '02:00'"),
    };

    public string Scalar(SqlType type, int depth = 1) => type switch
    {
        SqlType.Int => Int(depth),
        SqlType.Num => Num(depth),
        SqlType.Text => Text(depth),
        SqlType.Bool => Bool(depth),
        SqlType.Date => Date(),
        _ => Column(type),
    };

    public string Int(int depth = 1) => depth <= 0 || dice.Chance(40)
        ? (dice.Chance(80) ? Column(SqlType.Int) : N(dice.Number(0, 9)))
        : dice.Number(0, 9) switch
        {
            0 => $"({Int(depth - 1)} + {Int(depth - 1)})",
            1 => $"({Int(depth - 1)} - {N(dice.Number(0, 5))})",
            2 => $"abs({Int(depth - 1)})",
            3 => $"coalesce({Int(depth - 1)}, {N(dice.Number(0, 5))})",
            4 => $"length({Text(depth - 1)})",
            5 => $"CASE WHEN {Bool(depth - 1)} THEN {Int(depth - 1)} ELSE {N(dice.Number(0, 5))} END",
            6 => $"nullif({Int(depth - 1)}, {N(dice.Number(0, 5))})",
            7 => $"greatest({Int(depth - 1)}, {Int(depth - 1)})",
            8 => $"({Int(depth - 1)} % 7)",
            _ => $"extract(month FROM {Date()})::int",
        };

    public string Num(int depth = 1) => depth <= 0 || dice.Chance(40)
        ? Column(SqlType.Num)
        : dice.Number(0, 5) switch
        {
            0 => $"({Num(depth - 1)} * {Literal(SqlType.Num)})",
            1 => $"({Num(depth - 1)} + {Int(depth - 1)})",
            2 => $"round({Num(depth - 1)}, {N(dice.Number(0, 2))})",
            3 => $"coalesce({Num(depth - 1)}, 0)",
            4 => $"({Num(depth - 1)} / 4)",
            _ => $"least({Num(depth - 1)}, {Num(depth - 1)})",
        };

    public string Text(int depth = 1) => depth <= 0 || dice.Chance(40)
        ? Column(SqlType.Text)
        : dice.Number(0, 12) switch
        {
            0 => $"upper({Text(depth - 1)})",
            1 => $"({Text(depth - 1)} || {Literal(SqlType.Text)})",
            2 => $"substr({Text(depth - 1)}, 2, 2)",
            3 => $"coalesce({Text(depth - 1)}, '?')",
            4 => $"left({Text(depth - 1)}, {N(dice.Number(-1, 3))})",
            5 => $"replace({Text(depth - 1)}, 'o', '0')",
            6 => $"({Int(depth - 1)})::text",
            7 => $"lpad({Text(depth - 1)}, 6, '*')",
            8 => $"concat({Text(depth - 1)}, '-', {Int(depth - 1)})",
            9 => $"split_part({Text(depth - 1)}, 'o', 1)",
            10 => $"CASE {Text(depth - 1)} WHEN {Literal(SqlType.Text)} THEN 'hit' ELSE {Text(depth - 1)} END",
            11 => $"to_char({Num(depth - 1)}, 'FM990.00')",
            _ => $"md5({Text(depth - 1)})",
        };

    public string Date() => dice.Number(0, 4) switch
    {
        0 => $"({Column(SqlType.Date)} + {N(dice.Number(0, 9))})",
        1 => $"date_trunc('month', {Column(SqlType.Date)})::date",
        _ => Column(SqlType.Date),
    };

    public string Bool(int depth = 1)
    {
        if (depth <= 0 || dice.Chance(55))
        {
            return Comparison();
        }

        return dice.Number(0, 8) switch
        {
            0 or 1 => $"({Bool(depth - 1)} AND {Bool(depth - 1)})",
            2 or 3 => $"({Bool(depth - 1)} OR {Bool(depth - 1)})",
            4 => $"NOT {Comparison()}",
            5 => $"({Bool(depth - 1)}) IS NOT TRUE",
            6 => $"({Bool(depth - 1)}) IS NOT FALSE",
            7 => $"CASE WHEN {Comparison()} THEN {Comparison()} ELSE {Comparison()} END",
            _ => $"coalesce({Comparison()}, {dice.Of("true", "false")})",
        };
    }

    /// <summary>One comparison with a column in it.</summary>
    public string Comparison()
    {
        var column = Any();
        var name = column.Name;
        switch (dice.Number(0, 7))
        {
            case 0:
                return $"{name} IS {dice.Of("", "NOT ")}NULL";
            case 1 when column.Type is SqlType.Int or SqlType.Num or SqlType.Text or SqlType.Date or SqlType.Float:
                return $"{name} {dice.Of("", "NOT ")}BETWEEN {Literal(column.Type)} AND {Literal(column.Type)}";
            case 2 when column.Type is SqlType.Int or SqlType.Text or SqlType.Uuid or SqlType.Num:
                return $"{name} {dice.Of("", "", "NOT ")}IN ({string.Join(", ", Enumerable.Range(0, dice.Number(1, 5)).Select(_ => dice.Chance(6) ? "NULL" : Literal(column.Type)))})";
            case 3 when column.Type is SqlType.Int or SqlType.Text:
                return $"{name} {dice.Of("= ANY", "<> ALL")} (ARRAY[{Literal(column.Type)}, {Literal(column.Type)}, {(dice.Chance(10) ? "NULL" : Literal(column.Type))}])";
            case 4:
                return $"{name} IS {dice.Of("", "NOT ")}DISTINCT FROM {(dice.Chance(20) ? "NULL" : Literal(column.Type))}";
        }

        switch (column.Type)
        {
            case SqlType.Text when dice.Chance(40):
                return $"{name} {dice.Of("LIKE", "NOT LIKE", "ILIKE", "~", "~*")} {dice.Of("'c1%'", "'%o%'", "'^c'", "'_o%'")}";
            case SqlType.Bool when dice.Chance(60):
                return dice.Of(name, $"NOT {name}", $"{name} IS TRUE", $"{name} IS NOT TRUE", $"{name} IS UNKNOWN");
            case SqlType.Ints:
                return dice.Of($"2 = ANY ({name})", $"{name} @> ARRAY[2]", $"{name}[1] = 1", $"cardinality({name}) > 1", $"{name} && '{{3,5}}'");
            case SqlType.Texts:
                return dice.Of($"'b' = ANY ({name})", $"{name} @> ARRAY['a']", $"{name}[1] = 'a'", $"array_length({name}, 1) IS NULL", $"{name} <> '{{}}'");
            case SqlType.Json:
                return dice.Of($"{name} @> '{{\"a\": 2}}'", $"{name} ->> 'a' = '3'", $"({name} -> 'a')::int > 2", $"{name} ? 'b'", $"{name} #>> '{{c,d}}' = 'x'", $"{name}['a'] = '1'");
            case SqlType.Range:
                return dice.Of($"{name} @> 3", $"{name} && int4range(4, 6)", $"lower({name}) > 2", $"{name} << int4range(8, 10)", $"isempty({name})");
            case SqlType.Int or SqlType.Num when dice.Chance(30):
                return $"{Scalar(column.Type, 1)} {Operator()} {name}";
            default:
                return dice.Chance(85) ? $"{name} {Operator()} {Literal(column.Type)}" : $"{Literal(column.Type)} {Operator()} {name}";
        }
    }

    public string Operator() => dice.Of("=", "=", "<>", "<", "<=", ">", ">=");

    /// <summary>A target list of named expressions.</summary>
    public string Targets(int least, int most) => string.Join(", ", Enumerable.Range(1, dice.Number(least, most)).Select(i =>
        dice.Chance(50) ? Any().Name : $"{Scalar(dice.Of([SqlType.Int, SqlType.Num, SqlType.Text, SqlType.Bool, SqlType.Date]), 2)} AS e{i}"));

    /// <summary>An aggregate whose value does not depend on the order of rows (floats aside); <paramref name="key"/> gives one order.</summary>
    public string Aggregate(string key, int depth = 1) => dice.Number(0, 18) switch
    {
        0 or 1 => "count(*)",
        2 => $"count({Any().Name})",
        3 => $"sum({Int(depth)})",
        4 => $"sum({Num(depth)})",
        5 => $"avg({Num(depth)})",
        6 => $"avg({Int(depth)})",
        7 => $"min({Text(depth)})",
        8 => $"max({Date()})",
        9 => $"count(DISTINCT {Text(depth)})",
        10 => $"sum(DISTINCT {Int(depth)})",
        11 => $"bool_or({Bool(depth)})",
        12 => $"string_agg({Text(depth)}, ',' ORDER BY {key})",
        13 => $"array_agg({Int(depth)} ORDER BY {key})",
        14 => $"stddev({Num(depth)})",
        15 => $"sum({Column(SqlType.Float)})",
        16 => $"max({Num(depth)})",
        17 => $"every({Bool(0)})",
        _ => $"bit_or({Column(SqlType.Int)})",
    };

    private static string N(int value) => value.ToString(CultureInfo.InvariantCulture);
}
