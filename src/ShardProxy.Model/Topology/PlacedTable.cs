using System.Collections.Immutable;

namespace ShardProxy.Model.Topology;

/// <summary>How a table that is not simply on the home node is placed.</summary>
public enum TablePlacement
{
    /// <summary>Rows live on the node that owns their key's range.</summary>
    Sharded = 1,

    /// <summary>A reference table: every row on every node.</summary>
    Replicated = 2,
}

/// <summary>A sharded or replicated table. A table in no <see cref="PlacedTable"/> is unsharded: home node only.</summary>
public sealed record PlacedTable
{
    public required QualifiedName Name { get; init; }

    public required TablePlacement Placement { get; init; }

    /// <summary>The table group; 0 for replicated tables.</summary>
    public required int GroupId { get; init; }

    /// <summary>Indexes into <see cref="Columns"/> of the shard-key columns, in key order; empty for replicated tables.</summary>
    public required ImmutableArray<int> KeyColumns { get; init; }

    /// <summary>Columns in their physical order, dropped ones left out.</summary>
    public required ImmutableArray<TableColumn> Columns { get; init; }

    /// <summary>
    /// The table exists on every node but one group of nodes does not hold its rows yet: SHARD TABLE or REPLICATE TABLE of a
    /// filled table is under way, or it is being taken apart. Statements on it wait.
    /// </summary>
    public bool IsChanging { get; init; }

    /// <summary>
    /// The partitioned table that this one is a partition of, which is placed alike: its rows are the parent's too. A partition can be named in statements, which
    /// are routed by its own key columns.
    /// </summary>
    public QualifiedName? Parent { get; init; }

    /// <summary>A partitioned table has no rows of its own: they lie in its partitions, each a placed table of the same group.</summary>
    public bool IsPartitioned { get; init; }

    /// <summary>Index of a column by its stored name, or -1.</summary>
    public int ColumnIndex(string name)
    {
        for (var i = 0; i < Columns.Length; i++)
        {
            if (string.Equals(Columns[i].Name, name, StringComparison.Ordinal))
            {
                return i;
            }
        }

        return -1;
    }
}
