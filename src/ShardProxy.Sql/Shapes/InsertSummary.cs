using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The parts of an INSERT.</summary>
/// <param name="TargetRelation">Index into <see cref="StatementShape.Relations"/>.</param>
/// <param name="Columns">Columns as written; empty when none are: then rows follow the table's own order.</param>
/// <param name="RowCount">Rows of the VALUES list; 1 for DEFAULT VALUES; 0 for a query.</param>
/// <param name="Rows">Per VALUES row, per position: the constant, or null for an expression or DEFAULT.</param>
/// <param name="Source">Where the rows come from.</param>
/// <param name="HasOnConflict">ON CONFLICT in any form.</param>
/// <param name="ConflictUpdateColumns">Columns that DO UPDATE assigns, but for those that it sets to what the row in the way has under a unique index (<c>k = excluded.k</c>).</param>
/// <param name="HasOverriding">OVERRIDING SYSTEM VALUE or USER VALUE.</param>
/// <param name="HasReturning">RETURNING.</param>
public sealed record InsertSummary(
    int TargetRelation,
    ImmutableArray<string> Columns,
    int RowCount,
    ImmutableArray<ImmutableArray<KeySource?>> Rows,
    InsertSource Source,
    bool HasOnConflict,
    ImmutableArray<string> ConflictUpdateColumns,
    bool HasOverriding,
    bool HasReturning)
{
    /// <summary>Where each of <see cref="Rows"/> stands, its parentheses included; empty when that is not certain.</summary>
    public ImmutableArray<TokenRange> RowTokens => Places?.Rows ?? [];

    /// <summary>Where its parts stand; null when that is not certain, and for INSERT … SELECT.</summary>
    public InsertPlaces? Places { get; init; }

    /// <summary>Positions of a row at which every row has DEFAULT.</summary>
    public ImmutableArray<int> DefaultPositions { get; init; } = [];

    /// <summary>OVERRIDING USER VALUE: what is given for an identity column does not count.</summary>
    public bool OverridesByUser { get; init; }

    /// <summary>WITH stands in front.</summary>
    public bool HasWith { get; init; }

    /// <summary>Where the query of an INSERT … SELECT stands; null when that is not certain.</summary>
    public TokenRange? QueryTokens { get; init; }
}
