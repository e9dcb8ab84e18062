using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// A statement whose WITH holds INSERT, UPDATE or DELETE, in its parts: the WITH queries in their order, and the statement behind them. Token ordinals count from
/// the statement's first token and are the same in every text of a shape.
/// </summary>
/// <param name="Parts">The WITH queries.</param>
/// <param name="MainToken">The first token behind the WITH.</param>
/// <param name="PartOf">For each of <see cref="StatementShape.Relations"/> the part that names it; <see cref="Parts"/>' length for the statement behind them.</param>
public sealed record WritingWith(ImmutableArray<WithPart> Parts, int MainToken, ImmutableArray<int> PartOf);

/// <summary>One WITH query.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Body">What stands in its parentheses.</param>
/// <param name="IsWrite">It is no SELECT.</param>
public sealed record WithPart(string Name, TokenSpan Body, bool IsWrite);
