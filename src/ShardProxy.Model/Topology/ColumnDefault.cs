namespace ShardProxy.Model.Topology;

/// <summary>What PostgreSQL puts into a column that an INSERT leaves out. Values are stored in the catalog: do not renumber.</summary>
public enum ColumnDefaultKind
{
    /// <summary>The next number of a sequence, and nothing else: serial and identity columns.</summary>
    Sequence = 1,

    /// <summary>A version 4 UUID.</summary>
    RandomUuid = 2,

    /// <summary>A literal, perhaps with casts: the same for every row.</summary>
    Constant = 3,

    /// <summary>Any other expression.</summary>
    Expression = 4,

    /// <summary>An expression of the transaction's moment and constants, such as <c>now()</c>: one value for all rows of a transaction.</summary>
    Moment = 5,
}

/// <summary>A column's default.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The sequence's name, qualified and quoted; or the expression as SQL.</param>
/// <param name="Identity">Of an identity column <c>a</c> (ALWAYS) or <c>d</c> (BY DEFAULT), else a space (pg_attribute.attidentity).</param>
public sealed record ColumnDefault(ColumnDefaultKind Kind, string Text, char Identity = ' ')
{
    public bool IsIdentity => Identity is 'a' or 'd';
}
