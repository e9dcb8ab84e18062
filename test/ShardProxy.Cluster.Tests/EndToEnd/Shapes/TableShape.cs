namespace ShardProxy.Cluster.Tests.EndToEnd.Shapes;

/// <summary>One shape of a table and the statements by which writers change it. Each statement is about one key, so that writers with keys of their own can be replayed one after the other.</summary>
/// <param name="Name">The table's name.</param>
/// <param name="Ddl">Makes it and what it needs; <c>$</c> stands for its schema.</param>
/// <param name="Key">The shard key's columns.</param>
/// <param name="KeyOf">The key of a number, as SQL values.</param>
/// <param name="Statements">With <c>$</c> for the schema, <c>{k}</c> for the condition that names a key, <c>{v}</c> for its values, <c>{r}</c> for a random number and <c>{n}</c> for the values of another key.</param>
internal sealed record TableShape(string Name, string Ddl, string Key, Func<int, string> KeyOf, string[] Statements)
{
    /// <summary>BY HASH, or BY RANGE.</summary>
    public string Method { get; init; } = "HASH";

    /// <summary>What comes before the statements of the table itself, such as SET of a session.</summary>
    public string Condition(int key)
    {
        var columns = Key.Split(", ");
        return columns.Length == 1 ? $"{Key} = {KeyOf(key)}" : string.Join(" AND ", columns.Zip(KeyOf(key).Split(", "), (c, v) => $"{c} = {v}"));
    }

    /// <summary>A statement about a key, and perhaps another one that becomes the row's.</summary>
    public string Write(string statement, int key, int other, int random) => statement
        .Replace("{k}", Condition(key), StringComparison.Ordinal)
        .Replace("{v}", KeyOf(key), StringComparison.Ordinal)
        .Replace("{n}", KeyOf(other), StringComparison.Ordinal)
        .Replace("{r}", random.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
