namespace ShardProxy.Sql;

/// <summary>
/// Where a predicate on a relation can be spliced in. Token ordinals count from the statement's first token; they are the same in
/// every text of a shape.
/// </summary>
/// <param name="Relation">Index into <see cref="StatementShape.Relations"/>.</param>
/// <param name="WhereToken">Ordinal of WHERE, or -1.</param>
/// <param name="LastToken">Ordinal of the block's last token.</param>
internal readonly record struct PredicateSlot(int Relation, int WhereToken, int LastToken);
