using System.Globalization;

namespace ShardProxy.Functional.Tests.Sql;

/// <summary>
/// Writes random queries over the tables t0 to t10, each with the integer columns k, x, y, and each used once in a query: joins of
/// every kind, derived tables, LATERAL, aliases that hide and rename, correlated subqueries, OR, NOT, IN and row comparisons.
/// </summary>
internal sealed class RandomQuery(Random random)
{
    public const int Tables = 11;
    private const int MaxDepth = 3;

    private int _tables;
    private int _names;

    /// <summary>A source of columns that conditions can name.</summary>
    private sealed record Source(string Qualifier, string[] Columns)
    {
        public string Any(Random random) => $"{Qualifier}.{Columns[random.Next(Columns.Length)]}";
    }

    public string Next()
    {
        string query;
        do
        {
            _tables = _names = 0;
            query = Block([], 0, out _);
        }
        while (_tables > Tables);
        return query;
    }

    private string Block(List<Source> outer, int depth, out int columns)
    {
        var visible = new List<Source>();
        var isSingle = true;
        var from = Item(outer, visible, depth, 0, ref isSingle);
        if (random.Next(3) == 0 && HasTables(2))
        {
            isSingle = false;
            from += ", " + Item(outer, visible, depth, 0, ref isSingle);
        }

        var outputs = visible.SelectMany(s => s.Columns.Select(c => $"{s.Qualifier}.{c}")).ToList();
        if (random.Next(4) == 0 && depth < MaxDepth && HasTables(3))
        {
            outputs.Add($"(SELECT count(*) FROM ({Block([.. outer, .. visible], depth + 2, out _)}) z{_names++})");
        }

        columns = outputs.Count;
        var list = string.Join(", ", outputs.Select((o, i) => $"{o} AS c{i}"));
        var where = random.Next(6) == 0 ? "" : " WHERE " + Condition(visible, outer, depth, 0, isSingle && visible[0].Columns.Length == 3);
        return $"SELECT {list} FROM {from}{where}";
    }

    private bool HasTables(int count) => _tables + count <= Tables - 4;

    private string Item(List<Source> outer, List<Source> visible, int depth, int joins, ref bool isSingle)
    {
        var choice = random.Next(10);
        if (choice < 5 && joins < 3 && HasTables(3))
        {
            isSingle = false;
            return Join(outer, visible, depth, joins);
        }

        if (choice == 9 && depth < MaxDepth && HasTables(3))
        {
            isSingle = false;
            var isLateral = random.Next(2) == 0 && joins == 0;
            var name = $"d{_names++}";
            var query = Block(isLateral ? [.. outer, .. visible] : outer, depth + 1, out var columns);
            visible.Add(new Source(name, Columns(columns)));
            return $"{(isLateral ? "LATERAL " : "")}({query}) {name}";
        }

        var table = $"t{_tables++}";
        switch (random.Next(6))
        {
            case 0:
                var alias = $"q{_names++}";
                visible.Add(new Source(alias, ["k", "x", "y"]));
                return $"{table} AS {alias}";
            case 1:
                var renamed = $"q{_names++}";
                isSingle = false;
                visible.Add(new Source(renamed, ["y", "k", "x"]));
                return $"{table} {renamed} (y, k, x)";
            default:
                visible.Add(new Source(table, ["k", "x", "y"]));
                return table;
        }
    }

    private string Join(List<Source> outer, List<Source> visible, int depth, int joins)
    {
        var left = new List<Source>();
        var right = new List<Source>();
        var ignored = false;
        var leftText = Item(outer, left, depth, joins + 1, ref ignored);
        var rightText = Item(outer, right, depth, joins + 1, ref ignored);
        var type = (string[])["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];
        var kind = type[random.Next(type.Length)];
        var isUsing = random.Next(4) == 0 && left.Count == 1 && right.Count == 1 && left[0].Columns.Contains("k") && right[0].Columns.Contains("k");
        string condition;
        if (isUsing)
        {
            condition = "USING (k)";
        }
        else if (kind == "FULL JOIN")
        {
            // The server can only do full joins on equalities.
            condition = $"ON {Pick(left)} = {Pick(right)}";
        }
        else
        {
            condition = "ON " + Condition([.. left, .. right], outer, depth, 0, false);
        }

        var text = $"({leftText} {kind} {rightText} {condition})";
        if (random.Next(8) == 0 && !isUsing)
        {
            var name = $"j{_names++}";
            string[] columns = [$"{name}a", $"{name}b", $"{name}c"];
            visible.Add(new Source(name, columns));
            return $"{text} AS {name} ({string.Join(", ", columns)})";
        }

        visible.AddRange(left);
        visible.AddRange(right);
        return text;
    }

    private static string[] Columns(int count) => [.. Enumerable.Range(0, count).Select(i => $"c{i}")];

    private string Pick(List<Source> sources) => sources[random.Next(sources.Count)].Any(random);

    private string Constant() => random.Next(12) switch
    {
        0 => "-1",
        1 => "NULL",
        2 => "2::int8",
        3 => "'1'::int4",
        _ => random.Next(4).ToString(CultureInfo.InvariantCulture),
    };

    private string Condition(List<Source> visible, List<Source> outer, int depth, int nesting, bool mayOmitQualifier)
    {
        string Column() => mayOmitQualifier && random.Next(2) == 0 ? visible[0].Columns[random.Next(3)] : Pick(visible);
        string Inner() => Condition(visible, outer, depth, nesting + 1, mayOmitQualifier);
        switch (random.Next(nesting < 3 ? 20 : 11))
        {
            case 0 or 1 or 2:
                return $"{Column()} = {Constant()}";
            case 3:
                return $"{Constant()} = {Column()}";
            case 4:
                return $"{Column()} IN ({Constant()}, {Constant()})";
            case 5 or 6:
                return $"{Column()} = {Pick(visible)}";
            case 7:
                return outer.Count > 0 ? $"{Column()} = {Pick(outer)}" : $"{Column()} = ANY (ARRAY[0, 3])";
            case 8:
                return $"({Column()}, {Column()}) = ({Constant()}, {(random.Next(2) == 0 ? Constant() : Pick(visible))})";
            case 9:
                return $"{Column()} {(random.Next(2) == 0 ? "<" : "<>")} {Constant()}";
            case 10:
                return random.Next(2) == 0 ? $"{Column()} IS NULL" : $"{Column()} IS NOT DISTINCT FROM {Constant()}";
            case 11 or 12 or 13:
                return $"({Inner()}) AND ({Inner()})";
            case 14 or 15:
                return $"({Inner()}) OR ({Inner()})";
            case 16:
                return $"NOT ({Inner()})";
            case 17 when depth < MaxDepth && HasTables(2):
                return $"{(random.Next(3) == 0 ? "NOT " : "")}EXISTS ({Block([.. outer, .. visible], depth + 1, out _)})";
            case 18 when depth < MaxDepth && HasTables(2):
                var column = Column();
                var table = $"t{_tables++}";
                var source = new List<Source> { new(table, ["k", "x", "y"]) };
                var condition = Condition(source, [.. outer, .. visible], depth + 1, nesting + 1, false);
                return $"{column} {(random.Next(4) == 0 ? "NOT " : "")}IN (SELECT {table}.{source[0].Columns[random.Next(3)]} FROM {table} WHERE {condition})";
            default:
                return $"{Column()} = {Constant()}";
        }
    }
}
