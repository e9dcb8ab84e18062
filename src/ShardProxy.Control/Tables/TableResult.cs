using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>What SHARD TABLE or REPLICATE TABLE has to say.</summary>
/// <param name="Table">The table's full name.</param>
/// <param name="Notices">For the client.</param>
public sealed record TableResult(QualifiedName Table, ImmutableArray<string> Notices);
