namespace ShardProxy.Sql;

/// <summary>One result column of an <see cref="AggregateQuery"/>.</summary>
/// <param name="Function">The aggregate.</param>
/// <param name="Relation">The one relation it runs over: index into <see cref="StatementShape.Relations"/>.</param>
public sealed record ScalarAggregate(AggregateFunction Function, int Relation);
