using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// A SELECT of nothing but plain aggregates over one relation (no GROUP BY, HAVING, DISTINCT, FILTER, ORDER BY, LIMIT, set
/// operation, locking or subquery), or of scalar subqueries of that form without a FROM of its own. It gives one row.
/// Expressions in it use only operators and functions that are known not to depend on the node that runs them.
/// </summary>
/// <param name="Outputs">In result-column order.</param>
/// <param name="IsScalarSubqueries">The second form.</param>
public sealed record AggregateQuery(ImmutableArray<ScalarAggregate> Outputs, bool IsScalarSubqueries)
{
    /// <summary>Where predicates can be added, one a query block.</summary>
    internal ImmutableArray<PredicateSlot> Slots { get; init; } = [];
}
