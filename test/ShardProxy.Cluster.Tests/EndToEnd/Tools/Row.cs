namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>A result row: names and values as text, in column order.</summary>
internal sealed record Row(IReadOnlyList<(string Name, string? Value)> Columns)
{
    /// <summary>A column's value; throws when there is no such column.</summary>
    public string? this[string name] => Columns.First(c => c.Name == name).Value;
}
