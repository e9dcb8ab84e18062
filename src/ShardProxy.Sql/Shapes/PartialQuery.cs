using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>How the parts that the nodes answer make up the whole.</summary>
public enum PartialKind
{
    /// <summary>The rows of all nodes together, in any order.</summary>
    Rows,

    /// <summary>Groups, or one group of all: each node's aggregates are combined.</summary>
    Aggregates,

    /// <summary>DISTINCT rows of all nodes together.</summary>
    Distinct,

    /// <summary>The first rows of each node, of which the first are the answer.</summary>
    Top,

    /// <summary>The rows of all nodes together, each locked where it lies, perhaps ordered.</summary>
    Locked,
}

/// <summary>A run of tokens, both ends included, by their ordinals in the statement.</summary>
public readonly record struct TokenSpan(int First, int Last);

/// <summary>A call of an aggregate function that can be combined of parts.</summary>
/// <param name="Function">Its name: count, sum, avg, min, max, bool_and, bool_or, every, bit_and, bit_or.</param>
/// <param name="Call">The whole call, FILTER included.</param>
/// <param name="Arguments">What stands between the parentheses.</param>
/// <param name="Filter">FILTER and its condition, or null.</param>
public sealed record PartialAggregate(string Function, TokenSpan Call, TokenSpan Arguments, TokenSpan? Filter);

/// <summary>Text of the statement that the statement on the parts has other text for: a key (index from 0), an aggregate, or a result column.</summary>
/// <param name="Span">What is replaced.</param>
/// <param name="Key">Index of the key, or -1.</param>
/// <param name="Aggregate">Index of the aggregate, or -1.</param>
/// <param name="Output">Index of the result column that ORDER BY means, or -1.</param>
public readonly record struct PartialPatch(TokenSpan Span, int Key, int Aggregate, int Output = -1);

/// <summary>An item of ORDER BY.</summary>
/// <param name="Expression">Its expression.</param>
/// <param name="Suffix">ASC, DESC, NULLS …; null when there is none.</param>
/// <param name="Output">The result column it stands for, from 0; -1 when it is an expression of its own.</param>
public readonly record struct PartialOrder(TokenSpan Expression, TokenSpan? Suffix, int Output);

/// <summary>
/// A SELECT of one block over tables and joins of tables, whose expressions do not depend on the node that runs them: if the tables are co-located, each node
/// can answer for its own rows, and the parts make up the whole. Token ordinals as in <see cref="GatherQuery"/>.
/// </summary>
public sealed record PartialQuery
{
    public required PartialKind Kind { get; init; }

    /// <summary>What stands between SELECT [DISTINCT] and FROM.</summary>
    public required TokenSpan Targets { get; init; }

    /// <summary>From FROM to the end of WHERE.</summary>
    public required TokenSpan Source { get; init; }

    /// <summary>The condition behind WHERE, or null.</summary>
    public TokenSpan? Where { get; init; }

    /// <summary>The whole GROUP BY clause, or null.</summary>
    public TokenSpan? GroupBy { get; init; }

    /// <summary>Expressions the groups or distinct rows are made by.</summary>
    public ImmutableArray<TokenSpan> Keys { get; init; } = [];

    public ImmutableArray<PartialAggregate> Aggregates { get; init; } = [];

    /// <summary>In the order of the text, without overlaps.</summary>
    public ImmutableArray<PartialPatch> Patches { get; init; } = [];

    public ImmutableArray<PartialOrder> Order { get; init; } = [];

    /// <summary>The expression behind LIMIT, or null.</summary>
    public TokenSpan? Limit { get; init; }

    /// <summary>FOR UPDATE and its like; null when there is none.</summary>
    public TokenSpan? Lock { get; init; }

    /// <summary>The expression behind OFFSET, or null.</summary>
    public TokenSpan? Offset { get; init; }
}
