using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The side on which a <see cref="ColumnBound"/> leaves rows.</summary>
public enum BoundSide
{
    /// <summary><c>&gt;</c> or <c>&gt;=</c>.</summary>
    Above,

    /// <summary><c>&lt;</c> or <c>&lt;=</c>.</summary>
    Below,
}

/// <summary>
/// Every row of the relation that can influence the statement has <see cref="Columns"/>, compared as a row, on one side of <see cref="Values"/>.
/// Several bounds of one relation all hold.
/// </summary>
/// <param name="Columns">Names as written, folded; one, or those of a row comparison in their order.</param>
/// <param name="IsQualified">As for <see cref="ColumnPin"/>, for all columns.</param>
/// <param name="Side">Where the rows are.</param>
/// <param name="IsInclusive">Rows that are equal count too.</param>
/// <param name="Values">One a column.</param>
public sealed record ColumnBound(ImmutableArray<string> Columns, bool IsQualified, BoundSide Side, bool IsInclusive, ImmutableArray<KeySource> Values);
