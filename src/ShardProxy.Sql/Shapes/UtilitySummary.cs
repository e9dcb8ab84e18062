using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The parts of a utility statement that routing needs.</summary>
/// <param name="Object">What kind of object it is about.</param>
/// <param name="Verb">What it does to it.</param>
/// <param name="Names">
/// The objects it is about: DROP TABLE a, b; TRUNCATE a, b; CREATE TABLE a; CREATE SCHEMA s; CREATE ROLE r. For CREATE INDEX the index's own name, if
/// written; its table is in <see cref="StatementShape.Relations"/>.
/// </param>
/// <param name="IsConcurrently">CONCURRENTLY.</param>
/// <param name="IsTemporary">TEMPORARY table, view or sequence, also one created in <c>pg_temp</c>.</param>
/// <param name="IsCascade">CASCADE.</param>
/// <param name="IfExists">IF EXISTS or IF NOT EXISTS.</param>
public sealed record UtilitySummary(
    UtilityObject Object, UtilityVerb Verb, ImmutableArray<ObjectName> Names, bool IsConcurrently, bool IsTemporary, bool IsCascade, bool IfExists);
