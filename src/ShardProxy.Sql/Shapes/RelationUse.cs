using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>One mention of a relation. A table mentioned twice has two uses. Names are folded as PostgreSQL stores them.</summary>
/// <param name="Index">Position in <see cref="StatementShape.Relations"/>.</param>
/// <param name="Schema">Schema as written, or null.</param>
/// <param name="Name">Name.</param>
/// <param name="Alias">Alias, or null.</param>
/// <param name="Role">What is done with it.</param>
/// <param name="BlockIndex">The query block it belongs to: index into <see cref="StatementShape.Blocks"/>.</param>
/// <param name="Pins">What is known about its columns' values.</param>
/// <param name="IsOnly"><c>ONLY t</c>.</param>
/// <param name="HasTableSample">TABLESAMPLE.</param>
/// <param name="HasColumnAliases"><c>t AS a (x, y)</c>: its columns go by other names; no pins or equalities are given.</param>
public sealed record RelationUse(
    int Index,
    string? Schema,
    string Name,
    string? Alias,
    RelationRole Role,
    int BlockIndex,
    ImmutableArray<ColumnPin> Pins,
    bool IsOnly,
    bool HasTableSample,
    bool HasColumnAliases)
{
    /// <summary>An outer join of its block may put NULLs in the place of its rows.</summary>
    public bool IsNullable { get; init; }

    /// <summary>Where its rows lie by comparison; nothing for a table whose columns go by other names.</summary>
    public ImmutableArray<ColumnBound> Bounds { get; init; } = [];
}
