namespace ShardProxy.Model.Topology;

/// <summary>A column of a sharded or replicated table, as the home node's <c>pg_attribute</c> has it.</summary>
/// <param name="Name">Column name as stored.</param>
/// <param name="TypeOid">Type OID on the home node (only built-in OIDs are the same on every node).</param>
/// <param name="TypeModifier"><c>atttypmod</c>, -1 when none; for varchar(n) it is n + 4.</param>
/// <param name="IsNotNull">A NOT NULL constraint exists.</param>
/// <param name="IsGenerated">A stored generated column: cannot be written, does not take part in COPY's default list.</param>
public sealed record TableColumn(string Name, uint TypeOid, int TypeModifier, bool IsNotNull, bool IsGenerated)
{
    /// <summary>What stands for a value that is left out; null for NULL.</summary>
    public ColumnDefault? Default { get; init; }
}
