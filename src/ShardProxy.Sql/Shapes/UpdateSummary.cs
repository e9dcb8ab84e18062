using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The columns an UPDATE (or a MERGE's updates) assigns, folded.</summary>
public sealed record UpdateSummary(ImmutableArray<string> AssignedColumns)
{
    /// <summary>Of an UPDATE what each of them is set to, if that is a constant; else null.</summary>
    public ImmutableArray<KeySource?> Values { get; init; } = [];
}
