using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Backend;

/// <summary>One <c>SHARD TABLE</c>.</summary>
/// <param name="Table">The table; an unqualified name means schema <c>public</c>.</param>
/// <param name="Method">BY HASH or BY RANGE.</param>
/// <param name="KeyColumns">Shard-key columns in key order, at least one.</param>
/// <param name="ColocateWith">A table whose group the table joins, or null for a group of its own.</param>
/// <param name="Wait">False for NOWAIT.</param>
public sealed record ShardTableRequest(QualifiedName Table, ShardingMethod Method, ImmutableArray<string> KeyColumns, QualifiedName? ColocateWith, bool Wait);
