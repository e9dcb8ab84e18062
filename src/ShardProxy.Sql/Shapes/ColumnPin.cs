using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// Every row of the relation that can influence the statement has <see cref="Column"/> equal to one of <see cref="Values"/>.
/// Several pins of one relation all hold.
/// </summary>
/// <param name="Column">Column name as written, folded.</param>
/// <param name="IsQualified">
/// The column was written with this relation's name. If false the same pin stands on every relation that the name could belong
/// to, and it holds for a relation only if that one has such a column and none of the other relations of its block
/// (<see cref="StatementShape.Blocks"/>) is known to have it. A block's subqueries and relations of unknown columns need no
/// check: had they the column too, PostgreSQL would call it ambiguous.
/// </param>
/// <param name="Values">One value: <c>=</c>. More: IN, <c>= ANY (ARRAY[…])</c>, or equalities joined by OR.</param>
public sealed record ColumnPin(string Column, bool IsQualified, ImmutableArray<KeySource> Values);
