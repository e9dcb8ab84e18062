using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The parts of PREPARE, EXECUTE and DEALLOCATE; also of the EXECUTE in EXPLAIN and CREATE TABLE AS.</summary>
/// <param name="Name">Statement name; null for DEALLOCATE ALL.</param>
/// <param name="Arguments">EXECUTE's arguments; null for one that is no constant.</param>
/// <param name="QueryOffset">PREPARE: byte offset of the query in the statement (its first token); else -1.</param>
public sealed record PreparedSummary(string? Name, ImmutableArray<KeySource?> Arguments, int QueryOffset);
