using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>Where the parts of an INSERT with VALUES stand, as ordinals of its tokens.</summary>
/// <param name="NameEnd">The last token of the target's name and alias.</param>
/// <param name="ColumnsEnd">The parenthesis that closes the column list; -1 when there is none.</param>
/// <param name="Values">VALUES, or DEFAULT of DEFAULT VALUES.</param>
/// <param name="Rows">Each row, its parentheses included; empty for DEFAULT VALUES.</param>
public sealed record InsertPlaces(int NameEnd, int ColumnsEnd, int Values, ImmutableArray<TokenRange> Rows);
