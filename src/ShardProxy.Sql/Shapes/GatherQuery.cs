using System.Collections.Frozen;
using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// What is needed to let PostgreSQL finish a SELECT on rows that were gathered from several nodes: where its relations stand in the text, which of
/// their columns it can name, and which conditions each node can apply to its own rows beforehand. Token ordinals count from the statement's first
/// token and are the same in every text of a shape.
/// </summary>
/// <param name="Places">One a mention of a relation.</param>
/// <param name="Filters">Conditions on one relation alone; rows that fail them cannot influence the answer.</param>
/// <param name="Words">Every name in the statement, and more: a column that is not among them is not used, unless <see cref="HasStar"/>.</param>
/// <param name="HasStar">All columns of some relation are named at once: <c>*</c>, a whole row, NATURAL.</param>
/// <param name="HasSystemColumns">ctid, xmin, tableoid or the like is named: gathered rows do not have it.</param>
/// <param name="HasLongNames">A column is qualified by its table's schema.</param>
public sealed record GatherQuery(
    ImmutableArray<RelationPlace> Places,
    ImmutableArray<RelationFilter> Filters,
    FrozenSet<string> Words,
    bool HasStar,
    bool HasSystemColumns,
    bool HasLongNames);

/// <summary>Where a relation's name stands.</summary>
/// <param name="Relation">Index into <see cref="StatementShape.Relations"/>.</param>
/// <param name="FirstToken">The name's first token: its schema or itself.</param>
/// <param name="LastToken">The name's last token.</param>
public readonly record struct RelationPlace(int Relation, int FirstToken, int LastToken);

/// <summary>A condition on one relation.</summary>
/// <param name="Relation">Index into <see cref="StatementShape.Relations"/>.</param>
/// <param name="FirstToken">Its first token.</param>
/// <param name="LastToken">Its last token.</param>
/// <param name="Unqualified">Columns it names without a qualifier: the condition is this relation's only if it has all of them.</param>
/// <param name="Parameters">Numbers of the parameters in it.</param>
public sealed record RelationFilter(int Relation, int FirstToken, int LastToken, ImmutableArray<string> Unqualified, ImmutableArray<int> Parameters);
