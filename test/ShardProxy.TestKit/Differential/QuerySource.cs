namespace ShardProxy.TestKit.Differential;

/// <summary>A FROM clause, the columns it offers and the columns that make its rows unique.</summary>
/// <param name="From">The text behind FROM.</param>
/// <param name="Columns">Qualified where that is needed.</param>
/// <param name="Key">Together unique.</param>
internal sealed record QuerySource(string From, IReadOnlyList<SqlColumn> Columns, IReadOnlyList<string> Key)
{
    public string KeyList => string.Join(", ", Key);

    /// <summary>One table, with or without an alias, its columns qualified or not.</summary>
    public static QuerySource Of(Dice dice, SqlTable table)
    {
        var alias = dice.Chance(30) ? "x" : null;
        var prefix = dice.Chance(30) ? (alias ?? table.Name) + "." : "";
        return new QuerySource(
            alias is null ? table.Name : $"{table.Name} {dice.Of("", "AS ")}{alias}",
            [.. table.Columns.Select(c => c with { Name = prefix + c.Name })],
            [.. table.Key.Select(k => prefix + k)]);
    }

    /// <summary>One table under a given alias, its columns qualified.</summary>
    public static QuerySource As(SqlTable table, string alias) => new(
        $"{table.Name} {alias}", [.. table.Columns.Select(c => c with { Name = $"{alias}.{c.Name}" })], [.. table.Key.Select(k => $"{alias}.{k}")]);

    /// <summary>Two of them, joined by <paramref name="join"/> with <paramref name="on"/> behind it.</summary>
    public QuerySource With(QuerySource other, string join, string on) =>
        new($"{From} {join} {other.From}{on}", [.. Columns, .. other.Columns], [.. Key, .. other.Key]);
}
