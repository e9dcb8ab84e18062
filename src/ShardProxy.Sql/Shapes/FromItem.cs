namespace ShardProxy.Sql.Shapes;

/// <summary>What one FROM entry or join subtree offers to the conditions above it.</summary>
internal sealed class FromItem
{
    /// <summary>Names that qualify columns.</summary>
    public List<ScopeItem> Items { get; } = [];

    /// <summary>Every relation whose rows flow through, hidden ones included.</summary>
    public List<int> All { get; } = [];

    /// <summary>Relations whose rows an outer join may have replaced by NULLs.</summary>
    public HashSet<int> Nullable { get; } = [];

    /// <summary>Relations whose columns can be meant by an unqualified name.</summary>
    public List<int> Exposed { get; } = [];

    /// <summary>
    /// Columns merged by USING: the relations whose column of that name equals the merged one in every row that comes out.
    /// </summary>
    public Dictionary<string, List<int>> Merged { get; } = new(StringComparer.Ordinal);

    /// <summary>NATURAL has merged columns that are not known here: an unqualified name may be one of them.</summary>
    public bool HasUnknownMerges { get; set; }

    /// <summary>True when the entry is one plain table and nothing else.</summary>
    public bool IsSingleTable { get; init; }

    /// <summary>The relations known to supply the column that USING names; empty when that is not certain.</summary>
    public List<int> Suppliers(string column)
    {
        if (Merged.TryGetValue(column, out var merged))
        {
            return merged;
        }

        return IsSingleTable ? Exposed : [];
    }
}
