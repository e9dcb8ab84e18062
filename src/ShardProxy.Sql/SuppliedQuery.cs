using System.Collections.Frozen;
using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// What is needed to write the rows that an INSERT, UPDATE, DELETE or MERGE reads into its own text. Token ordinals count from the statement's first
/// token and are the same in every text of a shape.
/// </summary>
/// <param name="Queries">Every query in parentheses, without them; in the order of the text, so an outer one comes before those inside it.</param>
/// <param name="CteNames">Names of WITH queries: a query that uses one cannot stand alone.</param>
/// <param name="Merge">Of a MERGE its parts; null when they are not certain.</param>
public sealed record SuppliedQuery(ImmutableArray<TokenSpan> Queries, FrozenSet<string> CteNames, MergeParts? Merge);

/// <summary>The parts of a MERGE.</summary>
/// <param name="Source">What stands between USING and ON.</param>
/// <param name="Condition">What stands between ON and the first WHEN.</param>
/// <param name="SourceName">The name its source goes by; null for a join or one without a name.</param>
/// <param name="SourceRelation">The source's index into <see cref="StatementShape.Relations"/> if it is a table, or -1.</param>
/// <param name="Equalities">Column of the target, column of the source: every match has the same value in both.</param>
/// <param name="Inserts">Its WHEN NOT MATCHED THEN INSERT.</param>
public sealed record MergeParts(
    TokenSpan Source, TokenSpan Condition, string? SourceName, int SourceRelation, ImmutableArray<(string Target, string Source)> Equalities, ImmutableArray<MergeInsert> Inserts);

/// <summary>One INSERT of a MERGE.</summary>
/// <param name="Columns">Columns as written; empty when none are: then values follow the table's own order.</param>
/// <param name="SourceColumns">For each value the source's column that it is, qualified by the source's name; else null.</param>
public sealed record MergeInsert(ImmutableArray<string> Columns, ImmutableArray<string?> SourceColumns);
