using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The columns an UPDATE (or a MERGE's updates) assigns, folded.</summary>
public sealed record UpdateSummary(ImmutableArray<string> AssignedColumns);
